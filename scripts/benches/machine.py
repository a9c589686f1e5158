"""What a figure cannot be read without: the machine, and the versions of what computes."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
TELLING_FLAGS = ("avx2", "avx512", "avx_vnni", "amx", "f16c", "asimd", "bf16", "sve")
PACKAGES = ("torch", "onnxruntime", "numpy", "pillow", "isal", "fastapi", "uvicorn")


def facts() -> dict[str, Any]:
    """Return the machine's facts; those that the system does not tell are empty."""
    told = _cpuinfo()
    flags = (told.get("flags") or told.get("Features") or "").split()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": told.get("model name", platform.processor()),
        "flags": sorted(flag for flag in flags if flag.startswith(TELLING_FLAGS)),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _cpuinfo() -> dict[str, str]:
    """Return what Linux says of the first processor."""
    try:
        first = CPUINFO.read_text().partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
