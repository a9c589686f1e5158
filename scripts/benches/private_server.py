"""A supervisor of the bench's own, which never outlives it."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benches import BenchFailed

ROOT = Path(__file__).resolve().parent.parent.parent
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the processor time that its processes have used until now, in seconds."""
        top = psutil.Process(self.pid)
        times = [process.cpu_times() for process in (top, *top.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Run a server on a free port with a temporary folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bgremove-bench-") as folder:
        process = subprocess.Popen(
            (
                *(sys.executable, "-m", "supervisor", "--port", "0", "--exit-on-stdin-eof"),
                *("--log-level", "warning", "--temp-dir", folder),
            ),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            yield Server(_url(process), process.pid)
        finally:
            _end(process)


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
