"""A supervisor of the bench's own, which never outlives it."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benches import ROOT, BenchFailed
from cli.command_errors import CommandFailed
from cli.server_process import ServerProcess


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
def running(**settings: str) -> Iterator[Server]:
    """Run a server on a free port with a temporary folder of its own and these further settings.

    Raises BenchFailed where it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="bgremove-bench-") as folder:
        values = {"temp_dir": folder, "log_level": "warning", **settings}
        variables = {f"BGREMOVE_{name.upper()}": value for name, value in values.items()}
        start = time.perf_counter()
        try:
            with ServerProcess(Path(sys.executable), ROOT, variables) as process:
                url = process.wait_ready()
                yield Server(url, process.pid, time.perf_counter() - start)
        except CommandFailed as error:
            raise BenchFailed(error.detail) from error


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
