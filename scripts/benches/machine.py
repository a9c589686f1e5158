"""What a figure cannot be read without: the machine, and the versions of what computes."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
TELLING_FLAGS = ("avx2", "avx512", "avx_vnni", "amx", "f16c", "asimd", "bf16", "sve")
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
PACKAGES = ("torch", "onnxruntime", "numpy", "pillow", "isal", "fastapi", "uvicorn")


def facts() -> dict[str, Any]:
    """Return the machine's facts; those that the system does not tell are empty."""
    told = _cpuinfo()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": told.get("model name", platform.processor()),
        "flags": sorted(flag for flag in _flags(told) if flag.startswith(TELLING_FLAGS)),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def computes_bfloat16() -> bool:
    """Tell whether the processor does; otherwise it is emulated, many times slower than float32."""
    return not BFLOAT16_FLAGS.isdisjoint(_flags(_cpuinfo()))


def _flags(cpuinfo: dict[str, str]) -> list[str]:
    return (cpuinfo.get("flags") or cpuinfo.get("Features") or "").split()


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
