"""Process guard: kills a command and its descendants when its stdin closes."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from supervisor.environment.guarded_process import MAX_LINE_CHARS, CommandFailed, run_guarded_python
from tests.service import ROOT, still_alive, wait_for

GUARD = (sys.executable, "-m", "shared.process_guard")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are written for POSIX")

# A command with a child process, both for a minute; writes both pids.
TREE = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
part = pathlib.Path(sys.argv[1] + ".part")
part.write_text(f"{os.getpid()} {child.pid}")
part.rename(sys.argv[1])
time.sleep(60)
"""
# Starts a process guard and holds its stdin open.
PARENT = """
import subprocess, sys, time
subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
time.sleep(60)
"""


def start_guarded(*command: str) -> subprocess.Popen[bytes]:
    """Start a command under a process guard whose stdin this process holds."""
    return subprocess.Popen([*GUARD, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for_tree(pids: Path) -> list[psutil.Process]:
    """Wait until TREE runs, and return its processes."""
    wait_for(pids.exists)
    return [psutil.Process(int(pid)) for pid in pids.read_text().split()]


def test_closing_stdin_kills_the_command_and_its_children(tmp_path: Path) -> None:
    """pip runs compilers, which must end when the install is cancelled."""
    pids = tmp_path / "pids"
    with start_guarded(sys.executable, "-c", TREE, str(pids)) as guard:
        processes = wait_for_tree(pids)
        assert guard.stdin is not None
        guard.stdin.close()
        assert guard.wait(1) == 128 + signal.SIGKILL
        assert not still_alive(processes, timeout_s=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_sigterm_kills_the_command_and_sigint_is_ignored(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches every process at a terminal; the parent decides what it means."""
    pids = tmp_path / "pids"
    with start_guarded(sys.executable, "-c", TREE, str(pids)) as guard:
        processes = wait_for_tree(pids)
        guard.send_signal(number)
        if number == signal.SIGINT:
            assert not psutil.wait_procs(processes, timeout=0.2)[0]
            assert guard.stdin is not None
            guard.stdin.close()
        assert not still_alive(processes, timeout_s=1)
        assert guard.wait(5) == 128 + signal.SIGKILL, (
            "the guard exits with its command's code, not by a signal"
        )


def test_a_killed_parent_closes_stdin(tmp_path: Path) -> None:
    """A supervisor killed by SIGKILL cannot stop its children."""
    pids = tmp_path / "pids"
    command = (*GUARD, sys.executable, "-c", TREE, str(pids))
    with subprocess.Popen([sys.executable, "-c", PARENT, *command], cwd=ROOT) as parent:
        processes = [*wait_for_tree(pids), *psutil.Process(parent.pid).children()]
        os.kill(parent.pid, signal.SIGKILL)
        assert not still_alive(processes, timeout_s=1)


@pytest.mark.parametrize(
    ("program", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -SEGV $$", 128 + signal.SIGSEGV), ("sleep 60 & exit 3", 3)],
)
def test_the_exit_code_is_the_commands(program: str, code: int) -> None:
    """Processes that the command leaves behind are killed."""
    with start_guarded("sh", "-c", f"echo done; {program}") as guard:
        assert guard.stdout is not None
        assert guard.stdout.read() == b"done\n"  # to EOF: no other process has the pipe
        assert guard.wait(1) == code


def test_a_command_that_cannot_be_started_exits_with_127() -> None:
    """As in a shell."""
    with start_guarded("/nowhere/to/be/found") as guard:
        assert guard.wait(5) == 127


def test_lines_are_yielded_and_a_failure_is_raised_after_the_last() -> None:
    """Long ones are truncated: asyncio's StreamReader would fail on those of a compiler."""
    program = "print('one'); print('\\N{SNOWMAN}' * 200_000); import sys; sys.exit('the end')"
    lines: list[str] = []

    async def read() -> None:
        async for line in run_guarded_python("-c", program):
            lines.append(line)  # noqa: PERF401  # the lines before the error matter

    with pytest.raises(CommandFailed) as caught:
        asyncio.run(read())
    assert caught.value.code == 1
    assert lines == ["one", "\N{SNOWMAN}" * MAX_LINE_CHARS, "the end"]


def test_closing_the_generator_kills_the_command(tmp_path: Path) -> None:
    """Also a command with unread output."""
    pids = tmp_path / "pids"
    flood = f"print('x' * 1_000_000, flush=True)\n{TREE}"

    async def read() -> list[psutil.Process]:
        async with aclosing(run_guarded_python("-c", flood, str(pids))) as lines:
            await anext(lines)
            return await asyncio.to_thread(wait_for_tree, pids)

    assert not still_alive(asyncio.run(read()), timeout_s=0.5)


def test_a_cancelled_reader_kills_the_command(tmp_path: Path) -> None:
    """DELETE on a task does this, and answers when every process has ended."""
    pids = tmp_path / "pids"

    async def read() -> None:
        async for _ in run_guarded_python("-c", TREE, str(pids)):
            pass

    async def cancel() -> list[psutil.Process]:
        reader = asyncio.create_task(read())
        processes = await asyncio.to_thread(wait_for_tree, pids)
        reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        return processes

    assert not still_alive(asyncio.run(cancel()), timeout_s=0.5)
