"""What is wrong with a package, in a sentence that names the remedy."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from supervisor.environment.requirements import Package

VC_REDIST = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
CUDA_BUILDS = "https://pytorch.org/get-started/locally"
SIGNALLED = 128  # a shell's exit codes for signals start here
DIED, TOO_SLOW = "died", "too slow"  # kinds of failure that are no exception's name
MAX_TEXT = 200
_NO_OPERATORS = re.compile(r"torchvision::\w+ does not exist|custom C\+\+ ops")
_DLL = re.compile(r"\[WinError (126|127|1114)\]|DLL load failed")
_DLL_NAME = re.compile(r"[\w.-]+\.(?:dll|pyd)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """How an import failed: an exception's name and message, or DIED with the exit code, or TOO_SLOW."""

    kind: str
    text: str = ""
    module: str | None = None  # the module that was not found


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence for a person; whether the package can't be used; and the package to install anew for it."""

    sentence: str
    fatal: bool = True
    mend: str | None = None


def import_problem(package: Package, failure: Failure, version_of: Callable[[str], str]) -> Problem:
    """Put a failed import in a sentence. `version_of` gives a package's version by its name."""
    name = package.name
    if _NO_OPERATORS.search(failure.text):
        pair = f"torchvision {version_of('torchvision')} does not match torch {version_of('torch')}"
        return Problem(
            f"{pair}: its compiled operators are missing; install the pair again.", mend="torchvision"
        )
    if dll := _DLL.search(failure.text):
        file = _DLL_NAME.search(failure.text)
        what = ", ".join(part for part in (dll[0].strip("[]"), file[0] if file else "") if part)
        return Problem(
            f"{name} cannot load its libraries ({what}): install the Microsoft Visual C++ Redistributable "
            f"from {VC_REDIST}, then start the service again.",
            mend=name,
        )
    missing = (failure.module or "").partition(".")[0]
    if missing and missing != package.module:
        return Problem(
            f"{name} needs the module {missing}, which is missing; install {name} again.", mend=name
        )
    if failure.kind == TOO_SLOW:
        return Problem(f"{name} took too long to import; look again when the machine is less busy.")
    if failure.kind == DIED:
        how = _exit_in_words(int(failure.text))
        return Problem(f"{name} ends Python when it is imported ({how}); install it again.", mend=name)
    said = " ".join(failure.text.split())[:MAX_TEXT].rstrip(".")
    why = f"{failure.kind}: {said}" if said else failure.kind
    return Problem(f"{name} cannot be imported ({why}); install it again.", mend=name)


def metadata_problem(package: Package, version: str | None) -> Problem | None:
    """Return what is wrong with a package whose module is there, by its version alone."""
    name = package.name
    if version is None:
        return Problem(f"{name} is only partly installed; install it again.", mend=name)
    wanted = Requirement(package.requirement).specifier
    if not wanted.contains(_release(version), prereleases=True):
        return Problem(f"{name} {version} does not fit, it has to be {wanted}; update it.", mend=name)
    return None


def _release(version: str) -> str:
    """Return a version without what marks it as a build of one's own, for which no list is made."""
    try:
        return Version(version).base_version
    except InvalidVersion:
        return version


def cpu_build_problem(version: str, cuda: str | None, *, gpu: bool) -> Problem | None:
    """Return what to say of a torch that was built for CPUs only, where there is an NVIDIA GPU."""
    if cuda is not None or not gpu:
        return None
    return Problem(
        f"torch {version} is built for CPUs only, so it leaves this machine's NVIDIA GPU unused: "
        f"install its CUDA build as {CUDA_BUILDS} says.",
        fatal=False,
    )


def sees_nvidia_gpu(
    platform: str = sys.platform,
    environment: Mapping[str, str] = os.environ,
    exists: Callable[[str], bool] = os.path.exists,
    which: Callable[[str], str | None] = shutil.which,
) -> bool:
    """Tell by the driver's traces whether there is an NVIDIA GPU; asking torch would mean importing it."""
    match platform:
        case "linux":
            return exists("/proc/driver/nvidia/gpus") or which("nvidia-smi") is not None
        case "win32":
            system = environment.get("SYSTEMROOT", r"C:\Windows")
            return exists(rf"{system}\System32\nvcuda.dll") or which("nvidia-smi") is not None
    return False


def _exit_in_words(code: int) -> str:
    try:
        return signal.Signals(code - SIGNALLED).name
    except ValueError:
        return f"exit code {code}"
