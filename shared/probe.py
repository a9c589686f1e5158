"""Try imports in a process of their own: `python -m shared.probe torch torchvision …`.

Two lines of JSON a module on standard output, one before the import and one after it, so that a module which
takes the whole process down is known by its missing second line:

    {"begin": "torch"}
    {"end": "torch", "failure": null, "cuda": "12.8"}

`failure` is {"kind", "text", "module"}: the exception's class, its message, and the module not found.
`cuda` is told for torch alone: the version of CUDA, or of ROCm, that it was built for; null for CPUs only.
"""

import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any


def main(modules: list[str]) -> None:
    """Try the modules in turn and report each; this process ends without the libraries' own tidying up."""
    report = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what the libraries print is no part of the report
        os.dup2(silence, stream)
    for name in modules:
        _say(report, {"begin": name})
        _say(report, {"end": name, **_attempt(name)})
    os._exit(0)


def _say(report: int, line: dict[str, Any]) -> None:
    os.write(report, json.dumps(line).encode() + b"\n")


def _attempt(name: str) -> dict[str, Any]:
    try:
        module = importlib.import_module(name)
        if name == "torchvision":
            _use_operators(module)
    except BaseException as error:  # noqa: BLE001  # a library may raise anything, SystemExit too
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        return {"failure": {"kind": type(error).__name__, "text": str(error), "module": missing}}
    return {"failure": None, **({"cuda": _accelerator(module)} if name == "torch" else {})}


def _use_operators(torchvision: ModuleType) -> None:
    """Raise what a use of the compiled operators would raise; some releases import well without them."""
    check = getattr(getattr(torchvision, "extension", None), "_assert_has_ops", None)
    if check is not None:
        check()


def _accelerator(torch: ModuleType) -> str | None:
    version = getattr(torch, "version", None)
    return getattr(version, "cuda", None) or getattr(version, "hip", None)


if __name__ == "__main__":
    main(sys.argv[1:])
