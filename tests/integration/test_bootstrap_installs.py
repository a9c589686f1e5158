"""scripts/bootstrap.py with a real .venv and a real pip, on packages built here, without a network."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 100
POLL_S = 0.02
SHARED = ("shared/__init__.py", "shared/file_lock.py", "shared/pip_cleanup.py")
PARTS = ("scripts/bootstrap.py", "scripts/fingerprint.py", *SHARED)
Process = subprocess.Popen[str]

# Ensures the given lists, re-executes in .venv, and prints its prefix.
DRIVER = """
import sys
import bootstrap
bootstrap.reexec(bootstrap.ensure(*sys.argv[1:]))
print(sys.prefix)
"""

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

# A package whose build blocks until the test opens a gate, to interrupt an install there.
SLOW_BACKEND = '''
import os, time, zipfile
from pathlib import Path

def build_wheel(folder, config_settings=None, metadata_directory=None):
    gate = Path(os.environ["SLOW_GATE"])
    (gate / "started").touch()
    while not (gate / "open").exists():
        time.sleep(0.02)
    with zipfile.ZipFile(Path(folder) / "slow-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("slow.py", "")
        wheel.writestr("slow-1.0.dist-info/METADATA", """{metadata}""")
        wheel.writestr("slow-1.0.dist-info/WHEEL", """{wheel}""")
        wheel.writestr("slow-1.0.dist-info/RECORD", "")
    return "slow-1.0-py3-none-any.whl"
'''
SLOW_PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


class Project:
    """A folder with the bootstrap scripts, requirement lists, and their packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = folder / "gate"
        self.packages = folder / "packages"
        for each in (folder / "scripts", folder / "shared", self.gate, self.packages):
            each.mkdir(parents=True)
        for part in PARTS:
            shutil.copy(ROOT / part, folder / part)
        (folder / "scripts" / "driver.py").write_text(DRIVER)
        (folder / "constraints.txt").write_text("tiny==1.0\n")
        for name in ("empty", "tiny", "slow", "missing"):
            (folder / f"{name}.txt").write_text("" if name == "empty" else f"{name}\n")
        with zipfile.ZipFile(self.packages / "tiny-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny.py", "")
            wheel.writestr("tiny-1.0.dist-info/METADATA", METADATA.format(name="tiny"))
            wheel.writestr("tiny-1.0.dist-info/WHEEL", WHEEL)
            wheel.writestr("tiny-1.0.dist-info/RECORD", "")
        self._make_slow_package()

    def start(self, *lists: str) -> Process:
        """Run the driver in its own process group, to send it Ctrl-C as a terminal does."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "BGREMOVE_"))
        }
        return subprocess.Popen(
            [sys.executable, str(self.folder / "scripts" / "driver.py"), *(f"{name}.txt" for name in lists)],
            env={
                **inherited,
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": self.packages.as_uri(),
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_USER": "1",  # set by some users and clusters; fails in a virtual environment
                "PIP_CACHE_DIR": str(self.folder / "cache"),
                "SLOW_GATE": str(self.gate),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=sys.platform != "win32",
        )

    def run(self, *lists: str) -> tuple[int, str, str]:
        """Run the driver and return its exit code, standard output and standard error."""
        return end(self.start(*lists))

    def has(self, module: str) -> bool:
        """Whether .venv's Python can import it."""
        python = self.folder / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        done = subprocess.run([python, "-I", "-c", f"import {module}"], capture_output=True, check=False)
        return done.returncode == 0

    def _make_slow_package(self) -> None:
        backend = SLOW_BACKEND.format(metadata=METADATA.format(name="slow"), wheel=WHEEL)
        files = {
            "PKG-INFO": METADATA.format(name="slow"),
            "pyproject.toml": SLOW_PROJECT,
            "backend.py": backend,
        }
        with tarfile.open(self.packages / "slow-1.0.tar.gz", "w:gz") as source:
            for name, text in files.items():
                entry = tarfile.TarInfo(f"slow-1.0/{name}")
                entry.size = len(text.encode())
                source.addfile(entry, io.BytesIO(text.encode()))


def end(process: Process) -> tuple[int, str, str]:
    with process:
        output, errors = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, output, errors


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project with a finished .venv, shared by the tests that need no new one."""
    project = Project(tmp_path_factory.mktemp("made") / "with a space")
    code, _, errors = project.run("empty")
    assert code == 0, errors
    return project


@pytest.fixture
def gated(made: Project) -> Iterator[Project]:
    """The project with the slow package not installed and its gate closed; the gate opens at the end."""
    for file in made.gate.iterdir():
        file.unlink()
    for installed in (made.folder / ".venv").glob("lib/*/site-packages/slow*"):
        shutil.rmtree(installed) if installed.is_dir() else installed.unlink()
    shutil.rmtree(made.folder / "cache", ignore_errors=True)
    (made.folder / "slow.txt").write_text(f"slow\n# changed at {time.monotonic_ns()}, so not known\n")
    yield made
    (made.gate / "open").touch()


def test_the_first_run_installs_and_reexecutes_in_the_venv_and_the_second_is_silent(made: Project) -> None:
    """Users need nothing installed beforehand."""
    code, output, errors = made.run("tiny")
    assert (code, Path(output.strip())) == (0, (made.folder / ".venv").resolve())
    assert errors == "bgremove: installing tiny.txt (first run only, several minutes)\n"
    assert made.has("tiny")
    assert made.run("tiny") == (0, output, "")


def test_a_failed_install_is_one_line_with_its_reason(made: Project) -> None:
    """A page of pip's output would hide the reason."""
    code, output, errors = made.run("missing")
    assert (code, output) == (1, "")
    _, reason = errors.splitlines()
    assert reason.startswith("bgremove: cannot install missing.txt: ")
    assert "No matching distribution found for missing" in reason
    assert f"Python {sys.version.split()[0]} on " in reason, "the system without a matching wheel"
    assert made.run("missing")[0] == 1, "the failed install left a fingerprint"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_an_install_stopped_by_ctrl_c_is_completed_by_the_next_run(gated: Project) -> None:
    """A first run takes minutes on a slow connection: people do stop it."""
    process = gated.start("slow")
    _wait_for(gated.gate / "started", process)
    if sys.platform != "win32":  # for mypy
        os.killpg(process.pid, signal.SIGINT)
    code, _, errors = end(process)
    assert code == 130
    assert errors.splitlines()[-1] == "bgremove: interrupted; run the same command again to continue"
    (gated.gate / "open").touch()
    assert gated.run("slow")[0] == 0
    assert gated.has("slow")


@pytest.mark.skipif(sys.platform == "win32", reason="no lock is inherited there")
def test_a_run_after_a_kill_waits_for_the_orphaned_pip(gated: Project) -> None:
    """Two pips that write to one .venv would mix their files."""
    killed = gated.start("slow")
    _wait_for(gated.gate / "started", killed)
    killed.kill()
    killed.wait()
    second = gated.start("slow")
    assert second.stderr is not None
    assert second.stderr.readline() == "bgremove: another run is setting up .venv, waiting\n"
    (gated.gate / "open").touch()
    assert end(second)[0] == 0
    end(killed)
    assert gated.has("slow")


def test_a_partial_venv_is_recreated(tmp_path: Path) -> None:
    """Nobody should have to delete folders after a power failure in the first minute."""
    project = Project(tmp_path / "project")
    (project.folder / ".venv" / "bin").mkdir(parents=True)
    (project.folder / ".venv" / "bin" / "python").touch()
    (project.folder / ".venv" / "bgremove-unfinished").touch()
    code, _, errors = project.run("tiny")
    assert code == 0, errors
    assert errors.splitlines()[0] == "bgremove: .venv is incomplete, recreating it"
    assert project.has("tiny")


def test_two_concurrent_first_runs_create_one_venv(tmp_path: Path) -> None:
    """A service and a command started together would overwrite each other's files."""
    project = Project(tmp_path / "project")
    first, second = project.start("tiny"), project.start("tiny")
    ends = [end(first), end(second)]
    assert [code for code, _, _ in ends] == [0, 0], ends
    messages = ends[0][2] + ends[1][2]
    assert messages.count("creating .venv") == 1
    assert messages.count("installing tiny.txt") == 1
    assert project.has("tiny")


def _wait_for(file: Path, process: Process) -> None:
    while not file.exists():
        assert process.poll() is None, end(process)
        time.sleep(POLL_S)
