"""Records the machine and the library versions of a benchmark."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
SIMD_FLAGS = ("avx2", "avx512", "avx_vnni", "amx", "f16c", "asimd", "bf16", "sve")
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
PACKAGES = ("torch", "onnxruntime", "numpy", "pillow", "isal", "fastapi", "uvicorn")


def describe() -> dict[str, Any]:
    """Return system, processor, Python and package versions; empty where the system does not report them."""
    cpuinfo = _read_cpuinfo()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": cpuinfo.get("model name", platform.processor()),
        "flags": sorted(flag for flag in _flags(cpuinfo) if flag.startswith(SIMD_FLAGS)),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def supports_bfloat16() -> bool:
    """Whether the processor computes bfloat16; emulation is many times slower than float32."""
    return not BFLOAT16_FLAGS.isdisjoint(_flags(_read_cpuinfo()))


def _flags(cpuinfo: dict[str, str]) -> list[str]:
    return (cpuinfo.get("flags") or cpuinfo.get("Features") or "").split()


def _read_cpuinfo() -> dict[str, str]:
    """Return the first processor's fields of /proc/cpuinfo; empty on other systems."""
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
