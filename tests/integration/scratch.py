"""A throw-away environment with a supervisor in it, whose packages a test may install and break."""

import os
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.package_index import SLOW_BACKEND, add_source, add_wheel
from tests.service import OBEYS, Service

LAUNCHER = "tests.integration.scratch_supervisor"
LISTS = {
    "supervisor/requirements.txt": "psutil\n",
    "worker/requirements-builtin.txt": "",
    "worker/requirements-birefnet.txt": "",
    "worker/requirements-transformers.txt": "-r requirements-birefnet.txt\n",
}


class Scratch:
    """A virtual environment that sees the packages of the running one, without being able to change them.

    Next to it: a project's lists, which want `names` for the native loader, and an index to install from.
    """

    def __init__(self, folder: Path, *names: str, constraints: str = "") -> None:
        self.root, self.index, self.temp = folder / "project", folder / "index", folder / "temp"
        self.names = names
        self.index.mkdir(parents=True)
        for path, text in {**LISTS, "constraints.txt": constraints}.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        self.want(*names)
        venv.create(folder / "venv", with_pip=False, symlinks=sys.platform != "win32")
        windows = sys.platform == "win32"
        self.python = folder / "venv" / ("Scripts/python.exe" if windows else "bin/python")
        self.site = next((folder / "venv").glob("Lib/site-packages" if windows else "lib/*/site-packages"))
        outer = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (self.site / "outer.pth").write_text("".join(f"{path}\n" for path in sorted(outer)))

    @contextmanager
    def service(self, data_dir: Path, **settings: Any) -> Iterator[Service]:
        """Run a supervisor in the environment, with a fake worker."""
        command = (str(self.python), "-m", LAUNCHER, str(self.root), *self.names)
        pip = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": self.index.as_uri(),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_USER": "1",  # as some users and clusters have it set, which no environment can do
            "PIP_NO_CACHE_DIR": "1",
            # Spares the look for conflicts, most of pip's time here; pip reads a no- variable's value as is.
            "PIP_NO_WARN_CONFLICTS": "0",
        }
        service = Service(data_dir, self.temp, {"builtin_worker": OBEYS, **settings}, command, pip)
        try:
            yield service
        finally:
            service.end()

    def want(self, *names: str) -> None:
        """Put these packages, and no others, on the native loader's list."""
        (self.root / "worker/requirements-birefnet.txt").write_text("".join(f"{name}\n" for name in names))

    def wheel(self, name: str, version: str = "1.0", *requires: str, body: str = "") -> Path:
        """Add a package to the index."""
        return add_wheel(self.index, name, version, requires, body)


class Gate:
    """Holds the build of a package until it is opened."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self._folder = scratch.root / "gate"
        self._folder.mkdir()
        built = scratch.root / "built"
        built.mkdir()
        backend = SLOW_BACKEND.format(gate=str(self._folder), wheel=str(add_wheel(built, name)))
        add_source(scratch.index, name, backend)

    def reached(self) -> bool:
        """Whether a build waits."""
        return (self._folder / "reached").exists()

    def open(self) -> None:
        """Let builds through from now on."""
        (self._folder / "open").touch()


def install(service: Service) -> str | None:
    """Ask for an install and return its task's id."""
    answer = service.client.post("/env/install")
    assert answer.status_code == 200, answer.text
    task_id: str | None = answer.json()["task_id"]
    return task_id


def installed(service: Service) -> dict[str, Any]:
    """Ask for an install, wait for its end, and return the task."""
    task_id = install(service)
    assert task_id is not None
    return service.finished(task_id)


def status(service: Service) -> dict[str, Any]:
    """Return the environment's status."""
    answer: dict[str, Any] = service.client.get("/env/status").json()
    return answer


def problem_of(service: Service, module: str) -> str | None:
    """Return what the status says is wrong with a module."""
    (row,) = [row for row in status(service)["modules"] if row["module"] == module]
    problem: str | None = row["problem"]
    return problem
