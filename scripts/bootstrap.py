"""Creates the virtual environment .venv at the project's root and installs packages into it.

    python = bootstrap.ensure("supervisor/requirements.txt")
    bootstrap.reexec(python)

.venv holds fingerprints of the installed lists, so a second run reads small files and starts no process.
An interrupted install leaves no fingerprint: the next run repeats it from pip's cache.

BGREMOVE_NO_BOOTSTRAP=1: the running Python has every package, ensure() installs nothing.

Standard library only. Has to parse on Python 3.8, to report there that it needs a newer Python.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

import fingerprint

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # a script's own folder is on the path, the project's is not

from shared import file_lock  # noqa: E402
from shared.pip_cleanup import remove_partial_packages  # noqa: E402

# At import: the scripts import this module before any whose syntax an older Python rejects.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("bgremove: needs Python 3.11 or newer; this one is " + sys.version.split()[0])

SUPERVISOR = "supervisor/requirements.txt"
BUILTIN_MODEL = "worker/requirements-builtin.txt"
DOWNLOAD = "worker/requirements-download.txt"
CLUSTER = "worker/requirements-cluster.txt"
TESTS = "tests/requirements.txt"
LABELS = {
    SUPERVISOR: "supervisor",
    BUILTIN_MODEL: "built-in model",
    DOWNLOAD: "model download",
    "worker/requirements-birefnet.txt": "BiRefNet",
    "worker/requirements-transformers.txt": "BiRefNet with transformers",
    CLUSTER: "Ray cluster",
    TESTS: "test tools",
}
SMALL_LISTS = {SUPERVISOR, BUILTIN_MODEL, DOWNLOAD}  # the others install torch, hundreds of megabytes
NO_DISTRIBUTION = "No matching distribution found"
RESOLUTION_IMPOSSIBLE = "ResolutionImpossible"  # then pip's last line is a link, and the one before explains
EXIT_INTERRUPTED = 130  # what a shell reports for a program ended by SIGINT


class SetupError(SystemExit):
    """The environment cannot be set up. Uncaught, it prints one line and exits with code 1."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"bgremove: {detail}")


def ensure(*lists: str) -> Path:
    """Return .venv's Python after installing missing lists (paths from the root). Raises SetupError."""
    if os.environ.get("BGREMOVE_NO_BOOTSTRAP") == "1":
        return Path(sys.executable)
    try:
        if _pending(lists):
            _venv().mkdir(exist_ok=True)
            waiting = "another run is setting up .venv, waiting"
            with file_lock.acquire(_lock_file(), lambda: print_message(waiting)) as lock:
                _install_pending(lists, lock)
    except OSError as error:
        raise SetupError(f"cannot set up .venv: {error}") from error
    except KeyboardInterrupt:
        print_message("interrupted; run the same command again to continue")
        raise SystemExit(EXIT_INTERRUPTED) from None
    return _python()


def reexec(python: Path) -> None:
    """Re-execute the running script with that Python, unless it runs already."""
    # Compared by prefix: .venv's Python is a symbolic link to the one that created it.
    same = Path(sys.prefix).resolve() == python.parent.parent.resolve()
    if not same and Path(sys.executable) != python:
        exec_program([str(python), *sys.argv])


def exec_program(command: list[str]) -> NoReturn:
    """Replace this process by another program (execv), whose exit code becomes this one's."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform != "win32":
        os.execv(command[0], command)  # noqa: S606
    # Windows has no exec: this process waits and passes the exit code on.
    with subprocess.Popen(command) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches the child too, which cleans up
                raise SystemExit(process.wait())


def print_message(line: str) -> None:
    """Print a line for the user on standard error; standard output belongs to the commands."""
    print(f"bgremove: {line}", file=sys.stderr, flush=True)


def _install_pending(lists: Sequence[str], lock: int) -> None:
    pending = _pending(lists)  # again, under the lock: another run may have installed them meanwhile
    if not pending:
        return
    if not _venv_works():
        _create_venv(lock)
    _remove_partial_packages()
    # Stale fingerprints go before pip starts: after an interrupted install, restoring a changed list must not
    # make the old fingerprint match.
    known = fingerprint.load(_fingerprint_file())
    present = {name: value for name, value in known.items() if (ROOT / name).exists()}
    valid = {name: value for name, value in present.items() if value == _fingerprint(name)}
    fingerprint.save(_fingerprint_file(), valid)
    _install(pending, lock)
    installed = {part for name in pending for part in fingerprint.resolve_includes(ROOT, name)}
    fingerprint.save(_fingerprint_file(), {**valid, **{name: _fingerprint(name) for name in installed}})


def _create_venv(lock: int) -> None:
    if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            "this Python cannot create virtual environments; on Debian and Ubuntu install it with "
            f"'sudo apt-get install python3-venv' (or python{version}-venv), then run the same command again"
        )
    leftovers = [entry for entry in _venv().iterdir() if entry not in {_lock_file(), _incomplete_marker()}]
    print_message(".venv is incomplete, recreating it" if leftovers else "creating .venv")
    _incomplete_marker().touch()
    for entry in leftovers:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    # Not sys.executable, which may have been in the .venv just removed.
    python = getattr(sys, "_base_executable", None) or sys.executable
    done = _run([python, "-m", "venv", str(_venv())], lock, output=subprocess.DEVNULL)
    if done.returncode:
        reason = _failure_reason(done)
        raise SetupError(f"cannot create .venv: {reason}; fix that and run the same command again")
    _incomplete_marker().unlink()


def _install(lists: Sequence[str], lock: int) -> None:
    labels = ", ".join(LABELS.get(name, name) for name in lists)
    duration = "about a minute" if SMALL_LISTS.issuperset(lists) else "several minutes"
    print_message(f"installing {labels} (first run only, {duration})")
    command = [str(_python()), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--no-user"]  # overrides PIP_USER, which fails in a virtual environment
    interactive = sys.stderr.isatty()
    command += ["-c", fingerprint.CONSTRAINTS, *([] if interactive else ["--quiet"])]
    for name in lists:
        command += ["-r", name]
    done = _run(command, lock, output=sys.stderr if interactive else subprocess.DEVNULL)
    if done.returncode:
        offline = "Retrying (" in done.stderr or "connection" in done.stderr.lower()
        check = "check the network connection and " if offline else ""
        advice = f"{check}run the same command again (finished downloads are kept)"
        if NO_DISTRIBUTION in done.stderr and not offline:
            system = f"Python {platform.python_version()} on {sysconfig.get_platform()}"
            advice = f"{system} may be too old or too new for it"
        raise SetupError(f"cannot install {labels}: {_failure_reason(done)}; {advice}")


def _run(command: list[str], lock: int, output: IO[str] | int) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, capturing its standard error."""
    return subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        # pip inherits the lock: if this process is killed, the lock is held until pip has ended.
        pass_fds=() if sys.platform == "win32" else (lock,),
    )


def _failure_reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "Error:"))]
    errors = [line for line in errors if RESOLUTION_IMPOSSIBLE not in line]
    last = (errors or lines or [f"exit code {done.returncode}"])[-1]
    return last.partition(":")[2].strip() if errors else last


def _venv_works() -> bool:
    """Whether .venv is complete, with pip and a supported Python. Starts a process: only before installs."""
    if _incomplete_marker().exists() or not _python().is_file():
        return False
    try:
        done = subprocess.run(
            [_python(), "-I", "-c", "import pip._internal, sys; sys.exit(sys.version_info < (3, 11))"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:  # truncated, or built for another architecture
        return False
    return done.returncode == 0


def _remove_partial_packages() -> None:
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for folder in _venv().glob(pattern):
            remove_partial_packages(folder)


def _pending(lists: Sequence[str]) -> list[str]:
    if _incomplete_marker().exists() or not _python().is_file():
        return list(lists)
    known = fingerprint.load(_fingerprint_file())
    return [name for name in lists if known.get(name) != _fingerprint(name)]


def _fingerprint(name: str) -> str:
    return fingerprint.compute(ROOT, name, fingerprint.python_identity(_venv(), _python()))


def _venv() -> Path:
    return ROOT / ".venv"


def _python() -> Path:
    return _venv() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _fingerprint_file() -> Path:
    return _venv() / "bgremove-installed.json"


def _lock_file() -> Path:
    return _venv() / file_lock.INSTALL_LOCK_NAME


def _incomplete_marker() -> Path:
    """A file that exists while .venv is being created, so also after an interrupted creation."""
    return _venv() / "bgremove-unfinished"
