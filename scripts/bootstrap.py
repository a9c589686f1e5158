"""Makes and fills .venv at the project's root, with nothing but the standard library.

    python = bootstrap.ensure("supervisor/requirements.txt")
    bootstrap.reexec(python)

What is installed is remembered inside .venv, so a second run reads a few small files and starts nothing.
An install that was interrupted is not remembered: the next run goes on with what pip has in its cache.

BGREMOVE_NO_BOOTSTRAP=1 says that the running Python has all that is needed: ensure() then installs nothing.

This file has to parse on Python 3.8, to be able to say there that it needs a newer one.
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

# Here and not in a function: the scripts import this module before any that an older Python can't read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("bgremove: needs Python 3.11 or newer; this one is " + sys.version.split()[0])

SUPERVISOR = "supervisor/requirements.txt"
BUILTIN_MODEL = "worker/requirements-builtin.txt"
DOWNLOAD = "worker/requirements-download.txt"
TESTS = "tests/requirements.txt"
CONSTRAINTS = "constraints.txt"
LABELS = {
    SUPERVISOR: "supervisor",
    BUILTIN_MODEL: "built-in model",
    DOWNLOAD: "model download",
    "worker/requirements-birefnet.txt": "BiRefNet",
    "worker/requirements-transformers.txt": "BiRefNet with transformers",
    TESTS: "test tools",
}
QUICK_LISTS = {
    SUPERVISOR,
    BUILTIN_MODEL,
    DOWNLOAD,
}  # the others bring torch, hundreds of megabytes
NO_BUILD = "No matching distribution found"
NO_REASON = "ResolutionImpossible"  # pip's last line then points to its manual; the one before says why
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


class SetupError(SystemExit):
    """The environment could not be made. Left uncaught, it prints its one line and ends with code 1."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"bgremove: {detail}")


def ensure(*lists: str) -> Path:
    """The Python of .venv, after installing what these lists (paths from the root) name and it lacks."""
    if os.environ.get("BGREMOVE_NO_BOOTSTRAP") == "1":
        return Path(sys.executable)
    try:
        if _pending(lists):
            _venv().mkdir(exist_ok=True)
            with file_lock.acquire(
                _lock_file(), lambda: say("another run is setting up .venv, waiting")
            ) as lock:
                _fill(lists, lock)
    except OSError as error:
        raise SetupError(f"cannot set up .venv: {error}") from error
    except KeyboardInterrupt:
        say("interrupted; run the same command again to go on")
        raise SystemExit(INTERRUPTED) from None
    return _python()


def reexec(python: Path) -> None:
    """Go on in the same script with that Python; nothing happens when it is the one running."""
    # Never compared as resolved files: .venv's Python is a link to the one that made it.
    here = Path(sys.prefix).resolve() == python.parent.parent.resolve()
    if not here and Path(sys.executable) != python:
        become([str(python), *sys.argv])


def become(command: list[str]) -> NoReturn:
    """Put another program in this one's place, with its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform != "win32":
        os.execv(command[0], command)  # noqa: S606
    # Windows has no exec: there this process stays, only to hand the exit code on.
    with subprocess.Popen(command) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches the child too, which tidies up
                raise SystemExit(process.wait())


def say(line: str) -> None:
    """Tell the person at the terminal; standard output belongs to the commands."""
    print(f"bgremove: {line}", file=sys.stderr, flush=True)


def _fill(lists: Sequence[str], lock: int) -> None:
    pending = _pending(lists)  # asked again: another run may have done it while this one waited
    if not pending:
        return
    if not _works():
        _make(lock)
    _drop_torn_packages()
    # What no longer holds is forgotten before pip starts: putting a changed list back after an
    # interrupted install must not pass for the old state.
    known = fingerprint.load(_stamp_file())
    kept = {name: stamp for name, stamp in known.items() if (ROOT / name).exists() and stamp == _stamp(name)}
    fingerprint.save(_stamp_file(), kept)
    _install(pending, lock)
    installed = {part for name in pending for part in fingerprint.with_includes(ROOT, name)}
    fingerprint.save(_stamp_file(), {**kept, **{name: _stamp(name) for name in installed}})


def _make(lock: int) -> None:
    if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            "this Python cannot make virtual environments; on Debian and Ubuntu install it with "
            f"'sudo apt-get install python3-venv' (or python{version}-venv), then run the same command again"
        )
    leftovers = [entry for entry in _venv().iterdir() if entry not in {_lock_file(), _unfinished()}]
    say(".venv is incomplete, making it anew" if leftovers else "making .venv")
    _unfinished().touch()
    for entry in leftovers:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    # Not sys.executable, which may be the one just removed, of a .venv that has lost its pip.
    maker = getattr(sys, "_base_executable", None) or sys.executable
    made = _run([maker, "-m", "venv", str(_venv())], lock, output=subprocess.DEVNULL)
    if made.returncode:
        raise SetupError(f"cannot make .venv: {_reason(made)}; mend that and run the same command again")
    _unfinished().unlink()


def _install(lists: Sequence[str], lock: int) -> None:
    labels = ", ".join(LABELS.get(name, name) for name in lists)
    about = "about a minute" if QUICK_LISTS.issuperset(lists) else "several minutes"
    say(f"installing {labels} (first run only, {about})")
    command = [str(_python()), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--no-user"]  # which a user's own settings of pip may ask for, and no environment can do
    watched = sys.stderr.isatty()
    command += ["-c", CONSTRAINTS] if watched else ["-c", CONSTRAINTS, "--quiet"]
    for name in lists:
        command += ["-r", name]
    done = _run(command, lock, output=sys.stderr if watched else subprocess.DEVNULL)
    if done.returncode:
        offline = "Retrying (" in done.stderr or "connection" in done.stderr.lower()
        first = "check the network connection and " if offline else ""
        again = f"{first}run the same command again (what was downloaded is kept)"
        if NO_BUILD in done.stderr and not offline:
            here = f"Python {platform.python_version()} on {sysconfig.get_platform()}"
            again = f"{here} may be too old or too new for it"
        raise SetupError(f"cannot install {labels}: {_reason(done)}; {again}")


def _run(command: list[str], lock: int, output: IO[str] | int) -> subprocess.CompletedProcess[str]:
    """Run to the end, keeping what is said on standard error."""
    return subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        # Should this process be killed, pip lives on: then it holds the lock till it has ended too.
        pass_fds=() if sys.platform == "win32" else (lock,),
    )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "Error:")) and NO_REASON not in line]
    last = (errors or lines or [f"it ended with code {done.returncode}"])[-1]
    return last.partition(":")[2].strip() if errors else last


def _works() -> bool:
    """Whether .venv is whole, of a Python that will do. Costs a subprocess: asked before installs only."""
    if _unfinished().exists() or not _python().is_file():
        return False
    try:
        done = subprocess.run(
            [_python(), "-I", "-c", "import pip._internal, sys; sys.exit(sys.version_info < (3, 11))"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:  # there, but cut short or of another kind of machine
        return False
    return done.returncode == 0


def _drop_torn_packages() -> None:
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for folder in _venv().glob(pattern):
            remove_partial_packages(folder)


def _pending(lists: Sequence[str]) -> list[str]:
    if _unfinished().exists() or not _python().is_file():
        return list(lists)
    known = fingerprint.load(_stamp_file())
    return [name for name in lists if known.get(name) != _stamp(name)]


def _stamp(name: str) -> str:
    return fingerprint.of_list(ROOT, name, fingerprint.python_identity(_venv(), _python()))


def _venv() -> Path:
    return ROOT / ".venv"


def _python() -> Path:
    return _venv() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _stamp_file() -> Path:
    return _venv() / "bgremove-installed.json"


def _lock_file() -> Path:
    return _venv() / file_lock.INSTALL_LOCK_NAME


def _unfinished() -> Path:
    """There while .venv is being made, and still there after a making that was cut short."""
    return _venv() / "bgremove-unfinished"
