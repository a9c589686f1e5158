"""Server under test: a supervisor for the length of a benchmark, and its processor time."""

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
    """A running server; `start_s` is the time from spawn to ready line."""

    url: str
    pid: int
    start_s: float

    def cpu_s(self) -> float:
        """Return the processor time of the supervisor and its workers so far, in seconds."""
        children = psutil.Process(self.pid).children(recursive=True)
        return self.supervisor_cpu_s() + sum(read_cpu_s(child) for child in children)

    def supervisor_cpu_s(self) -> float:
        """Return the processor time of the supervisor alone, in seconds."""
        return read_cpu_s(psutil.Process(self.pid))


@contextlib.contextmanager
def run_server(module: str = "supervisor", **settings: str) -> Iterator[Server]:
    """Run a server on a free port with a temporary folder and the given settings.

    `module` is what Python runs. Raises BenchFailed if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="bgremove-bench-") as folder:
        spool = {"durable": "true", "spool_dir": f"{folder}/spool"}  # as services have it
        values = {"temp_dir": folder, "log_level": "warning", **spool, **settings}
        variables = {f"BGREMOVE_{name.upper()}": value for name, value in values.items()}
        start = time.perf_counter()
        try:
            with ServerProcess(Path(sys.executable), ROOT, variables, module) as process:
                url = process.wait_ready()
                yield Server(url, process.pid, time.perf_counter() - start)
        except CommandFailed as error:
            raise BenchFailed(error.detail) from error


def read_cpu_s(process: psutil.Process) -> float:
    """Return the processor time of a process so far, in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)
