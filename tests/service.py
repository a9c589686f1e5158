"""A real supervisor process for tests, and a client that talks to it as users do."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

ROOT = Path(__file__).resolve().parent.parent
OBEYS = "tests.fake_workers.behaviours:obeys"
SUPERVISOR = (sys.executable, "-m", "supervisor")
REMEMBERS = "tests.fake_workers.remembering:serve"
START_TIMEOUT_S = 30
END_TIMEOUT_S = 5  # the contract's bound
TASK_TIMEOUT_S = 60


class Service:
    """One `python -m supervisor` on a free port, with a data and a temp folder of its own.

    `command` starts it otherwise, `variables` are further ones for its environment.
    """

    def __init__(
        self,
        data_dir: Path,
        temp_dir: Path,
        settings: dict[str, Any],
        command: Sequence[str] = SUPERVISOR,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BGREMOVE_")}
        values = {
            "data_dir": data_dir,
            "temp_dir": temp_dir,
            "spool_dir": temp_dir / "spool",
            "port": 0,
            **settings,
        }
        environment |= {f"BGREMOVE_{name.upper()}": str(value) for name, value in values.items()}
        environment |= variables or {}
        self.temp_dir = temp_dir
        self.spool_dir = Path(values["spool_dir"])
        self._log = (temp_dir.parent / f"{temp_dir.name}.log").open("w+b")
        self.environment = environment
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self.ready = self._read_ready()
        self.port: int = self.ready["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx2.Client(base_url=f"{self.url}/api/v1", trust_env=False, timeout=TASK_TIMEOUT_S)

    def _read_ready(self) -> dict[str, Any]:
        alarm = threading.Timer(START_TIMEOUT_S, self.process.kill)
        alarm.start()
        try:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
        finally:
            alarm.cancel()
        assert line, f"the supervisor did not start:\n{self.log}"
        ready: dict[str, Any] = json.loads(line)
        return ready

    @property
    def log(self) -> str:
        """What the supervisor has logged so far."""
        return Path(self._log.name).read_text(errors="replace")

    def upload(self, photo: bytes, name: str = "photo.png", **options: str) -> str:
        """Upload a photo and return the task's id."""
        response = self.client.post("/remove/upload", files={"file": (name, photo)}, data=options)
        assert response.status_code == 200, response.text
        task_id: str = response.json()["task_id"]
        return task_id

    def upload_over(self, photo: bytes, behind: bytes, **options: str) -> httpx2.Response:
        """Upload a photo with an image to put behind it."""
        files = {"file": ("photo.jpg", photo), "background_file": ("beach.jpg", behind)}
        return self.client.post("/remove/upload", files=files, data=options)

    def finished(self, task_id: str, timeout_s: float = TASK_TIMEOUT_S) -> dict[str, Any]:
        """Wait for a task's end and return its payload."""

        def ended() -> dict[str, Any] | None:
            task = self.task(task_id)
            return task if task["status"] in ("complete", "error") else None

        task: dict[str, Any] = wait_for(ended, timeout_s)
        return task

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task's payload."""
        task: dict[str, Any] = self.client.get(f"/tasks/{task_id}").json()
        return task

    def cut(self, photo: bytes, name: str = "photo.png", **options: str) -> bytes:
        """Remove a background and return the result's bytes."""
        task_id = self.upload(photo, name, **options)
        task = self.finished(task_id)
        assert task["status"] == "complete", task
        result = self.client.get(f"/remove/result/{task_id}").json()
        return self.client.get(result["result_url"].removeprefix("/api/v1")).content

    def worker(self) -> dict[str, Any]:
        """Return the worker's part of the status."""
        worker: dict[str, Any] = self.client.get("/status").json()["worker"]
        return worker

    def descendants(self) -> list[psutil.Process]:
        """Return every process that the supervisor started, and those that they started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> int:
        """Stop by SIGTERM, and check that it ends in time and leaves no process and no file behind."""
        descendants = self.descendants() if self.process.poll() is None else []
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        alive = still_alive(descendants, END_TIMEOUT_S)
        assert not alive, f"left behind: {alive}\n{self.log}"
        assert "\nTraceback" not in self.log, self.log  # one that a worker logged is quoted within a line
        self._close()
        return code

    def wait(self, timeout_s: float = END_TIMEOUT_S) -> int:
        """Wait for the supervisor's end; kill it and fail where it comes too late."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the supervisor did not end in {timeout_s} s:\n{self.log}") from None

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self._log):
            assert stream is not None
            stream.close()


@contextmanager
def running(
    data_dir: Path, temp_dir: Path, *, command: Sequence[str] = SUPERVISOR, **settings: Any
) -> Iterator[Service]:
    """Run a supervisor for the length of a block."""
    service = Service(data_dir, temp_dir, settings, command)
    try:
        yield service
    finally:
        service.end()


def still_alive(processes: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for the processes' ends, and return those that still run.

    An orphan that was killed stays as a zombie where nobody reaps, as in some containers.
    """
    deadline = time.monotonic() + timeout_s
    while alive := [process for process in processes if process.is_running() and not is_zombie(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return alive


def is_zombie(process: psutil.Process) -> bool:
    """Whether a process has ended, and only waits to be reaped."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(probe: Callable[[], Any], timeout_s: float = 10) -> Any:
    """Return what `probe` returns as soon as that is true; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := probe()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def shape(service: Service) -> tuple[int, int, int, int]:
    """Return what a leak would make grow: descriptors, threads, processes, pieces of shared memory."""
    process = psutil.Process(service.process.pid)
    maps = process.memory_maps(grouped=False) if sys.platform == "linux" else []
    shared = [part for part in maps if part.path.startswith("/dev/shm/")]
    return process.num_fds(), process.num_threads(), len(service.descendants()), len(shared)


def follow(service: Service, task_id: str) -> Iterator[dict[str, Any]]:
    """Follow a task's stream to its end and yield the payload of each event as it comes."""
    with service.client.stream("GET", f"/remove/stream/{task_id}") as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


def stream_events(service: Service, task_id: str) -> list[dict[str, Any]]:
    """Follow a task's stream to its end and return the payloads of its events."""
    return list(follow(service, task_id))
