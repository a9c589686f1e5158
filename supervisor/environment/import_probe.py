"""Import probe: imports modules in child processes, since an import may crash, hang or load gigabytes."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from supervisor.environment.diagnostics import CRASHED, TIMED_OUT, Failure
from supervisor.environment.guarded_process import CommandFailed, run_guarded_python

TIMEOUT_S = 60.0
log = logging.getLogger("supervisor.environment")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one import. `cuda` is the CUDA version torch was built for: see `shared.probe`."""

    failure: Failure | None
    cuda: str | None = None


async def probe(modules: Sequence[str], timeout_s: float = TIMEOUT_S) -> dict[str, Outcome]:
    """Import the modules in a child process and return the outcomes by module.

    After a module that crashes the child, the remaining ones are imported in a new child.
    """
    outcomes: dict[str, Outcome] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while pending := [module for module in modules if module not in outcomes]:
                await _run_child(pending, outcomes)
    for module in modules:
        outcomes.setdefault(module, Outcome(Failure(TIMED_OUT)))
    return outcomes


async def _run_child(modules: Sequence[str], outcomes: dict[str, Outcome]) -> None:
    """Import the modules in one child; adds at least one outcome."""
    current, code = modules[0], 0
    child = run_guarded_python("-m", "shared.probe", *modules)
    try:
        async with aclosing(child):
            async for line in child:
                match _parse(line):
                    case {"begin": str(current)}:
                        pass
                    case {"end": str(module), "failure": failure, **more}:
                        cuda = str(more["cuda"]) if more.get("cuda") else None
                        outcomes[module] = Outcome(Failure(**failure) if failure else None, cuda)
    except CommandFailed as error:
        code = error.code
    except OSError as error:
        log.exception("import probe not started")
        outcomes |= {module: Outcome(Failure(type(error).__name__, str(error))) for module in modules}
    outcomes.setdefault(current, Outcome(Failure(CRASHED, str(code))))


def _parse(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:  # a library's own output on stderr
        return None
