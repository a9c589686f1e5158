"""Finds out which modules really import, in child processes: an import can crash, hang and load anything."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from supervisor.environment.diagnostics import DIED, TOO_SLOW, Failure
from supervisor.environment.guarded_process import CommandEnded, run_python

TIMEOUT_S = 60.0
log = logging.getLogger("supervisor.environment")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one import went. `cuda` says what torch was built for: see `shared.probe`."""

    failure: Failure | None
    cuda: str | None = None


async def probe(modules: Sequence[str], timeout_s: float = TIMEOUT_S) -> dict[str, Outcome]:
    """Import each module in a child process, and return how it went.

    A module that takes the child down is to blame for that; the others are tried in a new one.
    """
    outcomes: dict[str, Outcome] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while left := [module for module in modules if module not in outcomes]:
                await _try(left, outcomes)
    for module in modules:
        outcomes.setdefault(module, Outcome(Failure(TOO_SLOW)))
    return outcomes


async def _try(modules: Sequence[str], outcomes: dict[str, Outcome]) -> None:
    """Import the modules in one child; at least one of them comes out with an outcome."""
    current, code = modules[0], 0
    child = run_python("-m", "shared.probe", *modules)
    try:
        async with aclosing(child):
            async for line in child:
                match _parsed(line):
                    case {"begin": str(current)}:
                        pass
                    case {"end": str(module), "failure": failure, **more}:
                        cuda = str(more["cuda"]) if more.get("cuda") else None
                        outcomes[module] = Outcome(Failure(**failure) if failure else None, cuda)
    except CommandEnded as error:
        code = error.code
    except OSError as error:
        log.exception("modules cannot be tried")
        outcomes |= {module: Outcome(Failure(type(error).__name__, str(error))) for module in modules}
    outcomes.setdefault(current, Outcome(Failure(DIED, str(code))))


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:  # something that a library wrote on standard error
        return None
