"""Diagnoses why a package cannot be used, as one sentence that names the fix."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from shared.process_guard import SIGNAL_EXIT_OFFSET
from supervisor.environment.requirements import Package

VC_REDIST = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
CUDA_BUILDS = "https://pytorch.org/get-started/locally"
CRASHED, TIMED_OUT = "crashed", "timed out"  # values of Failure.kind that are not exception names
MAX_TEXT_CHARS = 200
_MISSING_OPERATORS = re.compile(r"torchvision::\w+ does not exist|custom C\+\+ ops")
_DLL_ERROR = re.compile(r"\[WinError (126|127|1114)\]|DLL load failed")
_DLL_NAME = re.compile(r"[\w.-]+\.(?:dll|pyd)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed import: an exception's class name and message, or CRASHED with the exit code, or TIMED_OUT."""

    kind: str
    text: str = ""
    module: str | None = None  # the module that was not found


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnosis: the sentence for users, whether the package is unusable, and the package to reinstall."""

    sentence: str
    fatal: bool = True
    fix: str | None = None


def diagnose_import(package: Package, failure: Failure, version_of: Callable[[str], str]) -> Problem:
    """Explain a failed import. `version_of` returns a package's version by its name."""
    name = package.name
    if _MISSING_OPERATORS.search(failure.text):
        pair = f"torchvision {version_of('torchvision')} does not match torch {version_of('torch')}"
        return Problem(f"{pair}: its compiled operators are missing; reinstall both.", fix="torchvision")
    if dll_error := _DLL_ERROR.search(failure.text):
        file = _DLL_NAME.search(failure.text)
        what = ", ".join(part for part in (dll_error[0].strip("[]"), file[0] if file else "") if part)
        return Problem(
            f"{name} cannot load its libraries ({what}): install the Microsoft Visual C++ Redistributable "
            f"from {VC_REDIST}, then restart the service.",
            fix=name,
        )
    missing = (failure.module or "").partition(".")[0]
    if missing and missing != package.module:
        return Problem(f"{name} needs the module {missing}, which is missing; reinstall {name}.", fix=name)
    if failure.kind == TIMED_OUT:
        return Problem(f"The import of {name} timed out; refresh the status when the machine is less busy.")
    if failure.kind == CRASHED:
        how = _describe_exit(int(failure.text))
        return Problem(f"{name} crashes the interpreter on import ({how}); reinstall it.", fix=name)
    text = " ".join(failure.text.split())[:MAX_TEXT_CHARS].rstrip(".")
    reason = f"{failure.kind}: {text}" if text else failure.kind
    return Problem(f"{name} cannot be imported ({reason}); reinstall it.", fix=name)


def diagnose_version(package: Package, version: str | None) -> Problem | None:
    """Explain a missing or unsupported version of a package whose module exists; None if it is supported."""
    name = package.name
    if version is None:
        return Problem(f"{name} is only partially installed; reinstall it.", fix=name)
    specifier = Requirement(package.requirement).specifier
    if not specifier.contains(_base_version(version), prereleases=True):
        return Problem(f"{name} {version} is not supported, {specifier} is required; update it.", fix=name)
    return None


def _base_version(version: str) -> str:
    """Return a version without its pre-release and local parts, such as `.dev0` and `+cpu`."""
    try:
        return Version(version).base_version
    except InvalidVersion:
        return version


def diagnose_cpu_build(version: str, cuda: str | None, *, gpu: bool) -> Problem | None:
    """Return a warning for a CPU-only build of torch on a machine with an NVIDIA GPU, else None."""
    if cuda is not None or not gpu:
        return None
    return Problem(
        f"torch {version} is a CPU-only build, so this machine's NVIDIA GPU is unused: "
        f"install a CUDA build, see {CUDA_BUILDS}.",
        fatal=False,
    )


def has_nvidia_gpu(
    platform: str = sys.platform,
    environment: Mapping[str, str] = os.environ,
    exists: Callable[[str], bool] = os.path.exists,
    which: Callable[[str], str | None] = shutil.which,
) -> bool:
    """Whether an NVIDIA driver is installed. Does not ask torch, which the supervisor never imports."""
    match platform:
        case "linux":
            return exists("/proc/driver/nvidia/gpus") or which("nvidia-smi") is not None
        case "win32":
            system = environment.get("SYSTEMROOT", r"C:\Windows")
            return exists(rf"{system}\System32\nvcuda.dll") or which("nvidia-smi") is not None
    return False


def _describe_exit(code: int) -> str:
    try:
        return signal.Signals(code - SIGNAL_EXIT_OFFSET).name
    except ValueError:
        return f"exit code {code}"
