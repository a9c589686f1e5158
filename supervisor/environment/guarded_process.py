"""Commands on a tether: no process of theirs outlives the block that reads them, nor the supervisor."""

import asyncio
import codecs
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# So that lines come when they are written, and read the same on every system.
OUTPUT = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
CHUNK_BYTES = 64 * 1024
MAX_LINE = 2000  # characters; the rest of a longer one is dropped
LETTING_GO_S = 5.0


class CommandEnded(Exception):
    """A command ended with another exit code than 0: its own, or 128 + the number of a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


async def run_python(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[str, None]:
    """Run this interpreter with `arguments` and yield the lines of its output, errors among them.

    `environment` adds to this process's own. Raises CommandEnded after the last line, where the command
    failed. Closing this generator (see `contextlib.aclosing`), or cancelling whoever reads it, kills the
    command and all that it started, and waits until they are gone.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.process_guard", sys.executable, *arguments),
        cwd=ROOT,
        env={**os.environ, **OUTPUT, **(environment or {})},
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async for line in _lines(process):
            yield line
        code = await process.wait()
    finally:
        await _let_go(process)
    if code:
        raise CommandEnded(code)


async def _lines(process: Process) -> AsyncGenerator[str, None]:
    """Split the output by hand: asyncio's own reader fails on lines of more than 64 KiB."""
    if process.stdout is None:
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while chunk := await process.stdout.read(CHUNK_BYTES):
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        for line in lines:
            yield line.rstrip("\r")[:MAX_LINE]
        rest = rest[:MAX_LINE]
    if rest:
        yield rest


async def _let_go(process: Process) -> None:
    """Close the tether's end, and wait until it has killed what it held; with a command that ended, no-op."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        try:
            async with asyncio.timeout(LETTING_GO_S):
                # To its end: a pipe that still holds something keeps its transport open.
                while process.stdout is not None and await process.stdout.read(CHUNK_BYTES):
                    pass
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
