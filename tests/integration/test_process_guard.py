"""Commands on a tether end with whoever holds it, with everything that they started."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from supervisor.environment.guarded_process import MAX_LINE, CommandEnded, run_python
from tests.service import ROOT, still_alive, wait_for

TETHER = (sys.executable, "-m", "shared.process_guard")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are written for POSIX")

# A command with a child, both for a minute; both say who they are.
TREE = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
part = pathlib.Path(sys.argv[1] + ".part")
part.write_text(f"{os.getpid()} {child.pid}")
part.rename(sys.argv[1])
time.sleep(60)
"""
# Holds a tether, and does no more.
HOLDER = """
import subprocess, sys, time
subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
time.sleep(60)
"""


def tethered(*command: str) -> subprocess.Popen[bytes]:
    """Start a command on a tether that this process holds."""
    return subprocess.Popen([*TETHER, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def tree(pids: Path) -> list[psutil.Process]:
    """Wait until TREE runs, and return its processes."""
    wait_for(pids.exists)
    return [psutil.Process(int(pid)) for pid in pids.read_text().split()]


def test_letting_go_kills_the_command_with_its_children(tmp_path: Path) -> None:
    """pip runs compilers; what is cancelled has to be over."""
    pids = tmp_path / "pids"
    with tethered(sys.executable, "-c", TREE, str(pids)) as tether:
        processes = tree(pids)
        assert tether.stdin is not None
        tether.stdin.close()
        assert tether.wait(1) == 128 + signal.SIGKILL
        assert not still_alive(processes, timeout_s=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_the_tether_is_no_way_around_it(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM ends the command as well; Ctrl-C, which reaches everyone at a terminal, is the holder's."""
    pids = tmp_path / "pids"
    with tethered(sys.executable, "-c", TREE, str(pids)) as tether:
        processes = tree(pids)
        tether.send_signal(number)
        if number == signal.SIGINT:
            assert not psutil.wait_procs(processes, timeout=0.2)[0]
            assert tether.stdin is not None
            tether.stdin.close()
        assert not still_alive(processes, timeout_s=1)
        assert tether.wait(5) == 128 + signal.SIGKILL, (
            "it ends as its command does, not by a signal of its own"
        )


def test_a_holder_that_is_killed_lets_go(tmp_path: Path) -> None:
    """A supervisor that the system kills cannot tidy up."""
    pids = tmp_path / "pids"
    command = (*TETHER, sys.executable, "-c", TREE, str(pids))
    with subprocess.Popen([sys.executable, "-c", HOLDER, *command], cwd=ROOT) as holder:
        processes = [*tree(pids), *psutil.Process(holder.pid).children()]
        os.kill(holder.pid, signal.SIGKILL)
        assert not still_alive(processes, timeout_s=1)


@pytest.mark.parametrize(
    ("program", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -SEGV $$", 128 + signal.SIGSEGV), ("sleep 60 & exit 3", 3)],
)
def test_the_commands_end_is_passed_on(program: str, code: int) -> None:
    """The caller judges by it. What the command left behind goes with it."""
    with tethered("sh", "-c", f"echo said; {program}") as tether:
        assert tether.stdout is not None
        assert tether.stdout.read() == b"said\n"  # to its end: nobody else holds the pipe
        assert tether.wait(1) == code


def test_a_command_that_cannot_be_started_says_so() -> None:
    """127 is what a shell says."""
    with tethered("/nowhere/to/be/found") as tether:
        assert tether.wait(5) == 127


def test_lines_come_as_they_are_written_and_a_failure_after_the_last() -> None:
    """Long ones too: a compiler's may have more than asyncio's own reader takes."""
    program = "print('one'); print('\\N{SNOWMAN}' * 200_000); import sys; sys.exit('the end')"
    lines: list[str] = []

    async def read() -> None:
        async for line in run_python("-c", program):
            lines.append(line)  # noqa: PERF401  # what came before the error counts

    with pytest.raises(CommandEnded) as caught:
        asyncio.run(read())
    assert caught.value.code == 1
    assert lines == ["one", "\N{SNOWMAN}" * MAX_LINE, "the end"]


def test_whoever_stops_reading_kills_the_command(tmp_path: Path) -> None:
    """Also one that has written more than anybody read."""
    pids = tmp_path / "pids"
    flood = f"print('x' * 1_000_000, flush=True)\n{TREE}"

    async def read() -> list[psutil.Process]:
        async with aclosing(run_python("-c", flood, str(pids))) as lines:
            await anext(lines)
            return await asyncio.to_thread(tree, pids)

    assert not still_alive(asyncio.run(read()), timeout_s=0.5)


def test_a_cancelled_reader_kills_the_command(tmp_path: Path) -> None:
    """DELETE on a task does this, and answers when all is over."""
    pids = tmp_path / "pids"

    async def read() -> None:
        async for _ in run_python("-c", TREE, str(pids)):
            pass

    async def cancel() -> list[psutil.Process]:
        reader = asyncio.create_task(read())
        processes = await asyncio.to_thread(tree, pids)
        reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        return processes

    assert not still_alive(asyncio.run(cancel()), timeout_s=0.5)
