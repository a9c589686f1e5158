"""A managing application starts the server, waits for one line, and can always end it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.photos import wish
from tests.service import END_TIMEOUT_S, OBEYS, ROOT, Service, wait_for


def launch(
    *flags: str, stdin_is_closed: bool = False, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m supervisor` to its end, for starts that fail."""
    closed = ("sh", "-c", 'exec "$@" <&-', "sh") if stdin_is_closed else ()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BGREMOVE_")}
    return subprocess.run(
        [*closed, sys.executable, "-m", "supervisor", *flags],
        cwd=ROOT,
        env=environment | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_ready_line_tells_the_parent_where_to_connect(start: Callable[..., Service]) -> None:
    """A parent that asked for any port would otherwise never find the server."""
    service = start()
    assert set(service.ready) == {"event", "host", "port", "pid", "version"}
    assert service.ready["event"] == "ready"
    assert service.ready["pid"] == service.process.pid
    assert service.client.get("/health").json()["status"] == "ok"


def test_stdout_holds_the_ready_line_and_nothing_else(start: Callable[..., Service]) -> None:
    """A parent that parses stdout would choke on a second line, from whichever process."""
    service = start(builtin_worker=OBEYS)
    service.cut(wish())
    service.process.send_signal(signal.SIGTERM)
    service.wait()
    assert service.process.stdout is not None
    assert service.process.stdout.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_idle_connections_lock_nobody_out(data_dir: Path, tmp_path: Path) -> None:
    """Systems let a process have few files open unless it asks for more, and each connection is one."""
    few = ("sh", "-c", 'ulimit -S -n 64 && exec "$0" -m supervisor', sys.executable)
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS}, few)
    with ExitStack() as stack:
        stack.callback(service.end)
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
        assert service.cut(wish()) == wish()


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's table of connections")
def test_a_client_that_lost_the_network_is_noticed(fake: Service) -> None:
    """It says no goodbye: its connection, and all that hangs on it, would stay as long as the service."""
    keepalive = "02"
    with socket.create_connection(("127.0.0.1", fake.port)) as client:
        ours = f":{fake.port:04X} 0100007F:{client.getsockname()[1]:04X} "

        def timer() -> str | None:
            lines = Path("/proc/net/tcp").read_text().splitlines()
            return next((line.split()[5].partition(":")[0] for line in lines if ours in line), None)

        wait_for(lambda: timer() == keepalive)


@pytest.fixture
def hangups_heeded() -> Iterator[None]:
    """Have what is started heed SIGHUP, even where the tests run under nohup.

    A child inherits that a signal is ignored, but starts with the default of one that its parent catches.
    """
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.usefixtures("hangups_heeded")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_ends_it_within_five_seconds_with_no_process_left(
    start: Callable[..., Service], name: str
) -> None:
    """Even in the middle of a removal; a worker left behind would hold memory forever, and a terminal that
    was closed left the photos on the disk."""
    service = start(builtin_worker=OBEYS)
    task_id = service.upload(wish("sleep 60"))
    service_is_busy(service, task_id)
    descendants = service.descendants()
    service.process.send_signal(getattr(signal, name))
    assert service.wait() == 0
    assert not psutil.wait_procs(descendants, timeout=END_TIMEOUT_S)[1]
    assert not list(service.temp_dir.glob("run-*"))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_under_nohup_it_outlives_its_terminal(data_dir: Path, tmp_path: Path) -> None:
    """Who started it so has logged out, and counts on it."""
    command = ("nohup", sys.executable, "-m", "supervisor")
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS}, command)
    service.process.send_signal(signal.SIGHUP)
    try:
        assert service.cut(wish()) == wish()
    finally:
        service.end()


def test_the_end_of_stdin_ends_it_for_a_parent_that_died(start: Callable[..., Service]) -> None:
    """Electron killed by the system cannot stop its child; a closed pipe does."""
    service = start(builtin_worker=OBEYS, exit_on_stdin_eof=True)
    service_is_busy(service, service.upload(wish("sleep 60")))
    descendants = service.descendants()
    assert service.process.stdin is not None
    service.process.stdin.close()
    assert service.wait() == 0
    assert not psutil.wait_procs(descendants, timeout=END_TIMEOUT_S)[1]


def test_its_children_do_not_hold_the_stdin_that_it_watches(start: Callable[..., Service]) -> None:
    """On Windows they could not start: their first look at it would wait for the parent's word."""
    service = start(builtin_worker=OBEYS, exit_on_stdin_eof="true")
    service.cut(wish())
    if sys.platform == "linux":
        for process in (service.process.pid, *(child.pid for child in service.descendants())):
            assert Path(f"/proc/{process}/fd/0").readlink() == Path(os.devnull)
    assert service.process.stdin is not None
    service.process.stdin.close()
    assert service.wait() == 0


def test_a_stdin_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    """Nobody could ever close it, and the service would outlive its parent."""
    done = launch("--exit-on-stdin-eof", "--port", "0", "--temp-dir", str(tmp_path), stdin_is_closed=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "bgremove: there is no standard input whose end could be waited for\n"


def test_a_service_without_a_reader_of_its_ready_line_serves_all_the_same(tmp_path: Path) -> None:
    """Started from a desktop, or behind a pipe whose reader has gone."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader, writer = os.pipe()
    os.close(reader)
    command = (sys.executable, "-m", "supervisor", "--port", str(port), "--temp-dir", str(tmp_path))
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=writer) as process:
        os.close(writer)
        try:
            wait_for(lambda: answers(port))
        finally:
            process.terminate()
        assert process.wait(END_TIMEOUT_S) == 0


def answers(port: int) -> bool:
    """Whether a service is there."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/api/v1/health", trust_env=False).is_success
    except httpx2.TransportError:
        return False


def test_a_temporary_folder_that_cannot_be_is_told_at_the_start(tmp_path: Path) -> None:
    """Not by an error forevery photo."""
    (tmp_path / "file").touch()
    done = launch("--port", "0", "--temp-dir", str(tmp_path / "file" / "temp"))
    assert done.returncode == 1
    assert done.stderr == f"bgremove: cannot write to the temporary folder {tmp_path}/file/temp\n"


def test_nothing_of_a_run_stays_in_the_temp_folder(start: Callable[..., Service]) -> None:
    """Photos are private: without a durable spool, they must not outlive the service."""
    service = start(builtin_worker=OBEYS, durable=False)
    service.cut(wish())
    assert list(service.temp_dir.rglob("source"))
    service.end()
    assert not list(service.temp_dir.rglob("*"))


def test_leftovers_of_a_killed_supervisor_are_deleted_but_not_a_neighbours_files(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    """A crash must not fill the disk for good; a second service on the machine must not lose results."""
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True
    )
    alive = psutil.Process()
    shared = tmp_path / "shared"
    leftover = shared / f"run-{int(gone.stdout)}-1000"
    neighbour = shared / f"run-{alive.pid}-{int(alive.create_time() * 1000)}"
    for folder in (leftover, neighbour):
        folder.mkdir(parents=True)
        os.utime(folder, (0, 0))
    start(temp_dir=shared, builtin_worker=OBEYS).cut(wish())
    assert not leftover.exists()
    assert neighbour.exists()


def test_a_taken_port_is_one_clear_line(start: Callable[..., Service]) -> None:
    """The user must learn that the service already runs, not read a stack trace."""
    service = start()
    failed = launch("--port", str(service.port))
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{service.port}" in failed.stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"BGREMOVE_PROT": "1"}, "unknown setting BGREMOVE_PROT"),
        ({"BGREMOVE_PORT": "high"}, "bad value for BGREMOVE_PORT"),
        ({"BGREMOVE_RETENTION_S": "-1"}, "bad value for BGREMOVE_RETENTION_S"),
        ({"BGREMOVE_MODEL": "birefnet_huge"}, "There is no model 'birefnet_huge'"),
        ({"BGREMOVE_MODEL": "./nothing"}, "There is no folder or *.safetensors file ./nothing"),
        ({"BGREMOVE_REVISION": "../main"}, "bad value for BGREMOVE_REVISION"),
        ({"BGREMOVE_TOKEN": " \n"}, "bad value for BGREMOVE_TOKEN"),
        ({"BGREMOVE_LOG_LEVEL": "loud"}, "bad value for BGREMOVE_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(variables: dict[str, str], sentence: str) -> None:
    """A mistyped setting must not be ignored: it may be the one that protects the service."""
    failed = launch(variables=variables)
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert sentence in failed.stderr


def test_a_package_that_an_update_needs_ends_the_start_with_one_line(tmp_path: Path) -> None:
    """After a git pull the service ended in a traceback, and nothing named the next step."""
    (tmp_path / "psutil.py").write_text("raise ModuleNotFoundError(\"No module named 'psutil'\")")
    failed = launch(variables={"PYTHONPATH": str(tmp_path)})
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "bgremove: No module named 'psutil': 'python3 scripts/bgremove.py remove" in failed.stderr


def test_flags_win_over_the_environment() -> None:
    """An operator's flag on the command line is the last word."""
    failed = launch("--log-level", "loud", variables={"BGREMOVE_LOG_LEVEL": "info"})
    assert failed.returncode == 1
    assert "BGREMOVE_LOG_LEVEL" in failed.stderr


def test_status_says_where_and_what_runs(service: Service) -> None:
    """The status table's first row shows exactly this."""
    status = service.client.get("/status").json()
    assert status["server"]["port"] == service.port
    assert status["server"]["pid"] == service.process.pid
    assert status["builtin"] == {"model_id": "u2netp", "available": True}
    assert status["models"]["background_removal"]["model_downloaded"] is False
    assert status["queue"] == {"length": 0, "limit": 64}
    json.dumps(status)


def service_is_busy(service: Service, task_id: str) -> None:
    """Wait until the worker is in the middle of a removal."""
    wait_for(lambda: service.task(task_id)["message"] == "Sleeping")
