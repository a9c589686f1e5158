"""Guarded subprocesses: Python commands that are killed, with their descendants, when their reader ends."""

import asyncio
import codecs
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Unbuffered, so that lines arrive when they are written, and in the same encoding on every system.
OUTPUT_VARIABLES = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
CHUNK_BYTES = 64 * 1024
MAX_LINE_CHARS = 2000  # longer lines are truncated
TERMINATE_TIMEOUT_S = 5.0


class CommandFailed(Exception):
    """A command exited with a code other than 0: its own, or 128 + the number of a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


async def run_guarded_python(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[str, None]:
    """Run this interpreter with `arguments` and yield the lines of its stdout and stderr.

    `environment` is added to this process's own. Raises CommandFailed after the last line for a non-zero exit
    code. Closing the generator (see `contextlib.aclosing`), or cancelling the task that reads it, kills the
    command's process tree and waits for its end.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.process_guard", sys.executable, *arguments),
        cwd=ROOT,
        env={**os.environ, **OUTPUT_VARIABLES, **(environment or {})},
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async for line in _read_lines(process):
            yield line
        code = await process.wait()
    finally:
        await _terminate(process)
    if code:
        raise CommandFailed(code)


async def _read_lines(process: Process) -> AsyncGenerator[str, None]:
    """Yield the output's lines. asyncio's StreamReader.readline fails on lines of more than 64 KiB."""
    if process.stdout is None:
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while chunk := await process.stdout.read(CHUNK_BYTES):
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        for line in lines:
            yield line.rstrip("\r")[:MAX_LINE_CHARS]
        rest = rest[:MAX_LINE_CHARS]
    if rest:
        yield rest


async def _terminate(process: Process) -> None:
    """Close the process guard's stdin and wait until it has killed the process tree; no-op after its exit."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        try:
            async with asyncio.timeout(TERMINATE_TIMEOUT_S):
                # Read to EOF: unread data would keep the pipe's transport open.
                while process.stdout is not None and await process.stdout.read(CHUNK_BYTES):
                    pass
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
