"""The service's end comes at once, whatever its clients and its name server are at."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE

import httpx2
import pytest

from tests.photos import wish
from tests.service import OBEYS, ROOT, Service, wait_for

HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@contextmanager
def knocking(port: int) -> Iterator[list[socket.socket]]:
    """Connect all the time, as many pages do that want their server back; gives the connections."""
    made: list[socket.socket] = []
    enough = threading.Event()

    def knock() -> None:
        while not enough.wait(0.002):
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), 5)
                made.append(connection)
                connection.sendall(HEALTH % port)

    threads = [threading.Thread(target=knock) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        enough.set()
        for thread in threads:
            thread.join()
        for connection in made:
            connection.close()


def test_a_client_that_connects_at_the_end_is_not_waited_for(start: Callable[..., Service]) -> None:
    """Three seconds of patience are meant for answers under way, not for a connection that is idle."""
    service = start(builtin_worker=OBEYS)
    with knocking(service.port) as connections:
        wait_for(lambda: len(connections) >= 100)
        service.process.send_signal(signal.SIGTERM)
        assert service.wait() == 0
    assert "graceful shutdown exceeded" not in service.log


def test_a_name_server_that_never_answers_does_not_hold_up_the_end(data_dir: Path, tmp_path: Path) -> None:
    """The system asks it for half a minute, in a thread that nobody can cancel; a parent kills after five."""
    command = (sys.executable, "-m", "tests.integration.nameless_supervisor")
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS}, command)
    try:
        service.client.post("/remove/url", json={"url": "http://example.com/photo.jpg"})
        wait_for(lambda: "asked in vain" in service.log)
    finally:
        service.end()


def test_a_parent_that_never_reads_the_log_neither_stops_the_service_nor_its_end(
    data_dir: Path, tmp_path: Path
) -> None:
    """Popen(stderr=PIPE) hung the service at the 327th photo; then no signal and no end of stdin ended it."""
    settings = {"BGREMOVE_DATA_DIR": data_dir, "BGREMOVE_TEMP_DIR": tmp_path, "BGREMOVE_PORT": 0}
    settings |= {"BGREMOVE_BUILTIN_WORKER": OBEYS, "BGREMOVE_QUEUE_LIMIT": 400}
    environment = os.environ | {name: str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "supervisor", "--exit-on-stdin-eof"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        port = json.loads(process.stdout.readline())["port"]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=20) as client:
            for _ in range(350):  # a pipe holds 64 KiB, and each removal logs some lines
                answer = client.post("/remove/upload", files={"file": ("a.png", wish())})
                assert answer.status_code == 200
            while client.get("/status").json()["queue"]["length"]:
                time.sleep(0.05)
            assert client.get("/health").status_code == 200
        process.stdin.close()
        assert process.wait(15) == 0
        assert len(process.stderr.read()) >= 60_000, "the pipe was not full"
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def test_the_end_does_not_need_the_event_loop(data_dir: Path, tmp_path: Path) -> None:
    """Whatever holds it up, a signal ends the service in bounded time."""
    code = (
        "import sys, time, supervisor.server as server;"
        "from supervisor.jobs.run_directory import RunDirectory;"
        "server.SHUTDOWN_TIMEOUT_S = 1.0; calls = [];"
        "RunDirectory.heartbeat = lambda self: (calls.append(1), time.sleep(60 if len(calls) > 1 else 0));"
        "server.main(sys.argv[1:])"
    )
    settings = {"cleanup_interval_s": 0.3}
    service = Service(data_dir, tmp_path / "temp", settings, command=(sys.executable, "-c", code))
    time.sleep(1)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) == 1
    assert "shutdown timed out" in service.log
    service.end()


def test_repeated_signals_change_nothing(data_dir: Path, tmp_path: Path) -> None:
    """Up to the last moment of the process: an impatient Ctrl-C, or a manager that repeats its SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGINT):
        service = Service(data_dir, tmp_path / number.name, {"builtin_worker": OBEYS})
        while service.process.poll() is None:
            service.process.send_signal(number)
            time.sleep(0.0002)
        assert service.process.returncode == 0
        service.end()


@pytest.mark.parametrize("path", ["/api/v1/remove/upload", "/v1.0/removebg", "/api/remove"])
def test_half_an_upload_ends_without_a_traceback(data_dir: Path, tmp_path: Path, path: str) -> None:
    """Each looked like a crash in the log of every restart under load."""
    service = Service(data_dir, tmp_path / "temp", {"builtin_worker": OBEYS})
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        "Content-Length: 60000\r\n\r\n--b\r\n"
    )
    disposition = 'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(f"{head}{disposition}".encode() + b"x" * 20_000)
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        assert connection.recv(12) == b"HTTP/1.1 503"
    assert service.end() == 0


def test_the_requests_in_progress_get_the_time_that_the_workers_leave(data_dir: Path, tmp_path: Path) -> None:
    """One after the other they had eight seconds, of the five that are promised."""
    code = (
        "import asyncio, sys; from supervisor.container import Container; from supervisor.server import main;"
        "stop = Container.stop\n"
        "async def stop_slowly(self): Container.stop = stop; await asyncio.sleep(3); await stop(self)\n"
        "Container.stop = stop_slowly; main(sys.argv[1:])"
    )
    service = Service(data_dir, tmp_path / "temp", {}, command=(sys.executable, "-c", code))
    head = b"POST /api/v1/remove/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(head + kind)
        time.sleep(0.3)
        assert service.end() == 0
        assert connection.recv(12) == b"HTTP/1.1 503"
