"""A Node process that runs scripts/electron/managed-service.mjs, in place of an Electron application."""

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
NOTICE_TIMEOUT_S = 10  # health is polled every 3 seconds, with a timeout of 3
needs_node = pytest.mark.skipif(NODE is None, reason="node is not on PATH")


class App:
    """A Node process that manages one service and prints its states; its stdin stays open."""

    def __init__(self, folder: Path, data_dir: Path, arguments: tuple[str, ...], **settings: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BGREMOVE_")}
        folders = {"data_dir": data_dir, "temp_dir": folder / "temp", "spool_dir": folder / "spool"}
        values = {**folders, "builtin_worker": OBEYS, **settings}
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
        """The stderr of the process and of the service."""
        return Path(self._log.name).read_text()

    @property
    def statuses(self) -> list[str]:
        """Every status so far."""
        return [state["status"] for state in self.states]

    def wait_for(self, status: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait until `status` is the latest one and return the state."""
        wait_for(lambda: self.statuses[-1:] == [status], timeout_s)
        return self.states[-1]

    def client(self, token: str = "") -> httpx2.Client:
        """Return a client of the running service."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        base_url = f"{self.wait_for('running')['url']}/api/v1"
        return httpx2.Client(base_url=base_url, headers=headers, trust_env=False)

    def make_busy(self) -> list[psutil.Process]:
        """Start a removal that takes long, and return all child processes."""
        with self.client() as client:
            response = client.post("/remove/upload", files={"file": ("photo.png", wish("sleep 60"))})
            task = f"/tasks/{response.json()['task_id']}"
            wait_for(lambda: client.get(task).json()["message"] == "Sleeping")
        processes = psutil.Process(self.process.pid).children(recursive=True)
        assert len(processes) >= 2
        return processes

    def send_stop(self) -> None:
        """Write the line `stop` to its stdin."""
        assert self.process.stdin
        self.process.stdin.write(b"stop\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End the process, by force if needed, and close its streams."""
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


def expect_ended(processes: list[psutil.Process], timeout_s: float = 1) -> None:
    """Fail unless all processes end in time."""
    wait_for(lambda: all(has_ended(process) for process in processes), timeout_s)


def has_ended(process: psutil.Process) -> bool:
    """Whether the process has ended, also if it is not yet reaped."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
