"""An Electron application's part: a real Node that runs scripts/electron/managed-service.mjs."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.photos import wish
from tests.service import OBEYS, ROOT, START_TIMEOUT_S, wait_for

NODE = shutil.which("node")
MODULE = ROOT / "scripts" / "electron" / "managed-service.mjs"
STOP_TIMEOUT_S = 6
NOTICE_TIMEOUT_S = 10  # a poll every 3 seconds, and 3 more for the answer
needs_node = pytest.mark.skipif(NODE is None, reason="node is not on PATH")


class App:
    """A Node process that manages one service, tells its changes, and keeps its own stdin open."""

    def __init__(self, folder: Path, data_dir: Path, arguments: tuple[str, ...], **settings: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BGREMOVE_")}
        values = {"data_dir": data_dir, "temp_dir": folder / "temp", "builtin_worker": OBEYS, **settings}
        environment |= {f"BGREMOVE_{name.upper()}": str(value) for name, value in values.items()}
        assert NODE
        self._log = (folder / "app.log").open("w+b")
        self.process = subprocess.Popen(
            [NODE, *arguments],
            cwd=folder,
            env=environment | {"PYTHON": sys.executable, "MODULE": MODULE.as_uri()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self.states: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.states.extend(json.loads(line) for line in self.process.stdout)

    @property
    def log(self) -> str:
        """What it and the service wrote to stderr."""
        return Path(self._log.name).read_text()

    @property
    def statuses(self) -> list[str]:
        """Every status told so far."""
        return [state["status"] for state in self.states]

    def wait_for(self, status: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait until the last change is to `status`, and return the state."""
        wait_for(lambda: self.statuses[-1:] == [status], timeout_s)
        return self.states[-1]

    def client(self, token: str = "") -> httpx2.Client:
        """Return a client of the service, which has to be running."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = f"{self.wait_for('running')['url']}/api/v1"
        return httpx2.Client(base_url=address, headers=headers, trust_env=False)

    def make_busy(self) -> list[psutil.Process]:
        """Have a worker in the middle of a removal, and return every process below this one."""
        with self.client() as client:
            answer = client.post("/remove/upload", files={"file": ("photo.png", wish("sleep 60"))})
            task = f"/tasks/{answer.json()['task_id']}"
            wait_for(lambda: client.get(task).json()["message"] == "Sleeping")
        processes = psutil.Process(self.process.pid).children(recursive=True)
        assert len(processes) >= 2
        return processes

    def say_stop(self) -> None:
        """Ask for the end as a test does, by a line."""
        assert self.process.stdin
        self.process.stdin.write(b"stop\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End whatever is left."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(2 * STOP_TIMEOUT_S)
        finally:
            self.process.kill()
            self._reader.join()
            for stream in (self.process.stdin, self.process.stdout, self._log):
                assert stream
                stream.close()


def expect_gone(processes: list[psutil.Process], timeout_s: float = 1) -> None:
    """Fail unless all of them end in time."""
    wait_for(lambda: all(has_ended(process) for process in processes), timeout_s)


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more, even where init has yet to reap it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
