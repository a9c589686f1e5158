"""A supervisor of the bench's own, which never outlives it."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from benches import ROOT, BenchFailed

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and how long it took to say that it is ready."""

    url: str
    pid: int
    start_s: float

    def cpu_s(self) -> float:
        """Return the processor time that its processes have used until now, in seconds."""
        children = psutil.Process(self.pid).children(recursive=True)
        return self.supervisor_cpu_s() + sum(_cpu_s(child) for child in children)

    def supervisor_cpu_s(self) -> float:
        """Return the processor time of the supervisor alone, without its workers, in seconds."""
        return _cpu_s(psutil.Process(self.pid))


@contextlib.contextmanager
def running(*flags: str) -> Iterator[Server]:
    """Run a server on a free port with a temporary folder of its own, and these further flags."""
    with tempfile.TemporaryDirectory(prefix="bgremove-bench-") as folder:
        start = time.perf_counter()
        process = subprocess.Popen(
            (
                *(sys.executable, "-m", "supervisor", "--port", "0", "--exit-on-stdin-eof"),
                *("--log-level", "warning", "--temp-dir", folder),
                *flags,
            ),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            url = _url(process)
            yield Server(url, process.pid, time.perf_counter() - start)
        finally:
            _end(process)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _url(process: "subprocess.Popen[bytes]") -> str:
    killer = threading.Timer(START_TIMEOUT_S, process.kill)
    killer.start()
    try:
        line = process.stdout.readline() if process.stdout else b""
    finally:
        killer.cancel()
    if not line:
        raise BenchFailed("The server did not start; it says why above.")
    ready = json.loads(line)
    return f"http://{ready['host']}:{ready['port']}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
