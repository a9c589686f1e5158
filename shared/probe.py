"""Import probe: `python -m shared.probe torch torchvision …` imports modules and reports each outcome.

Writes two lines of JSON per module to stdout, one before and one after its import. A module that crashes the
process is identified by its missing second line:

    {"begin": "torch"}
    {"end": "torch", "failure": null, "cuda": "12.8"}

`failure` is {"kind", "text", "module"}: the exception's class, its message, and the module not found.
`cuda` is reported for torch only: the CUDA or ROCm version that it was built for, null for a CPU-only build.
"""

import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any


def main(modules: list[str]) -> None:
    """Import the modules in order and report each; exits without running exit handlers, which may hang."""
    report = os.dup(1)
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # so that output of the libraries does not mix with the report
        os.dup2(devnull, stream)
    for name in modules:
        _write_line(report, {"begin": name})
        _write_line(report, {"end": name, **_import(name)})
    os._exit(0)


def _write_line(report: int, line: dict[str, Any]) -> None:
    os.write(report, json.dumps(line).encode() + b"\n")


def _import(name: str) -> dict[str, Any]:
    try:
        module = importlib.import_module(name)
        if name == "torchvision":
            _check_operators(module)
    except BaseException as error:  # noqa: BLE001  # a library may raise anything, SystemExit too
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        return {"failure": {"kind": type(error).__name__, "text": str(error), "module": missing}}
    return {"failure": None, **({"cuda": _cuda_version(module)} if name == "torch" else {})}


def _check_operators(torchvision: ModuleType) -> None:
    """Raise if the compiled operators are missing: some torchvision releases import without them."""
    check = getattr(getattr(torchvision, "extension", None), "_assert_has_ops", None)
    if check is not None:
        check()


def _cuda_version(torch: ModuleType) -> str | None:
    version = getattr(torch, "version", None)
    return getattr(version, "cuda", None) or getattr(version, "hip", None)


if __name__ == "__main__":
    main(sys.argv[1:])
