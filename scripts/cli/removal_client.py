"""Removes the background of one image: upload, task progress, download of the result."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cli.command_errors import CommandFailed, Terminated
from cli.connect import Service
from cli.inputs import Source
from cli.option_flags import Options, use_flag_names
from cli.outputs import Job
from cli.retry import RetriesExhausted, RetryPolicy
from shared.file_replace import replace_with_retry

if TYPE_CHECKING:
    from cli.api_client import Payload

SPOOL_BYTES = 16 * 1024**2  # of a piped image in memory; a larger one is spooled to a file

Show = Callable[[float, str], None]


@dataclass
class RemovalClient:
    """Processes images with one service and one set of options. Thread-safe."""

    service: Service
    options: Options
    option_files: dict[str, Path]
    _stopped: threading.Event = field(default_factory=threading.Event)
    _tasks: set[str] = field(default_factory=set)
    _retry: RetryPolicy = field(init=False)

    def __post_init__(self) -> None:
        """Give the retry policy this client's health check and interruptible sleep."""
        self._retry = RetryPolicy(self._is_reachable, self.pause)

    def remove_with_retry(self, job: Job, show: Show) -> Payload:
        """Process one image, repeated if the server is unavailable. Raises CommandFailed.

        By its key, the server recognises a repeated image, and goes on with the task that it has.
        """
        key = uuid.uuid4().hex
        if not job.source.rereadable:
            return self.remove(job, show, key)
        return self._retry.call(lambda: self.remove(job, show, key))

    def remove(self, job: Job, show: Show, key: str | None = None) -> Payload:
        """Process one image, write its result, and return the server's description. Raises CommandFailed."""
        try:
            return self._remove(job, show, key or uuid.uuid4().hex)
        except CommandFailed as error:
            error.detail = use_flag_names(error.detail)
            raise

    def _remove(self, job: Job, show: Show, key: str) -> Payload:
        self._check_not_stopped()
        show(0, "Uploading the image")
        task_id = self._submit(job.source, show, key)
        self._tasks.add(task_id)
        try:
            if self._stopped.is_set():  # during the upload, when stop() did not know of the task
                self.service.client.cancel(task_id)
            self.service.client.wait_for_task(task_id, show)
            result = self.service.client.get_result(task_id)
        except (KeyboardInterrupt, Terminated):  # raised in the main thread only; stop() is for the others
            self.service.client.cancel(task_id)
            raise
        finally:
            self._tasks.discard(task_id)
        with buffered_stdout() if job.output is None else atomic_output(job.output) as file:
            self.service.client.download_file(
                str(result["result_url"]), lambda chunk: self._write(file, chunk)
            )
        self.service.client.delete_result(task_id)  # else a batch could fill the server's disk
        return result

    def pause(self, seconds: float) -> None:
        """Sleep. Raises CommandFailed as soon as stop() is called."""
        self._stopped.wait(seconds)
        self._check_not_stopped()

    def stop(self) -> None:
        """Cancel the running removals, also on the server; unfinished output files are discarded."""
        self._stopped.set()
        for task_id in list(self._tasks):
            self.service.client.cancel(task_id)

    def _write(self, file: IO[bytes], chunk: bytes) -> None:
        self._check_not_stopped()
        file.write(chunk)

    def _is_reachable(self) -> bool:
        """Whether the service answers. Raises RetriesExhausted if it was started here and has ended."""
        try:
            self.service.check_alive()
        except CommandFailed as error:
            raise RetriesExhausted(error.detail, error.code) from error
        try:
            self.service.client.check_health()
        except CommandFailed:
            return False
        return True

    def _check_not_stopped(self) -> None:
        if self._stopped.is_set():
            raise CommandFailed("stopped", "cancelled")

    def _submit(self, source: Source, show: Show, key: str) -> str:
        def show_delay(delay_s: float) -> None:
            show(0, f"The queue is full, next attempt in {delay_s:.0f} s")

        with contextlib.ExitStack() as stack:
            return self._retry.call_when_free(self._make_submit(source, stack, key), show_delay)

    def _make_submit(self, source: Source, stack: contextlib.ExitStack, key: str) -> Callable[[], str]:
        """Return a function that submits the image, any number of times; `stack` closes its files."""
        if source.kind == "url":
            return lambda: self.service.client.submit_url(source.name, self.options, key)
        image = stack.enter_context(
            _spool(sys.stdin.buffer) if source.kind == "stdin" else _open_seekable(source.path)
        )
        name = source.path.name if source.kind == "file" else source.stem
        name = name.encode("utf-8", "replace").decode()  # names on old disks may be in other encodings
        files = {"file": (name, image)}
        for option, path in self.option_files.items():
            files[option] = (path.name, stack.enter_context(_open_seekable(path)))

        def submit() -> str:
            try:
                for _, file in files.values():
                    file.seek(0)
                return self.service.client.upload(self.options, files, key)
            except OSError as error:  # of a file; the client translates those of the connection
                raise CommandFailed(
                    f"cannot read {source.name}: {error.strerror}", "input_unreadable"
                ) from error

        return submit


def _open_seekable(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}", "input_unreadable") from error
    if file.seekable():
        return file
    with file:  # a named pipe
        return _spool(file)


def _spool(pipe: IO[bytes]) -> IO[bytes]:
    """Copy a pipe's content into a temporary file, since an upload may have to be repeated."""
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - the caller's block closes it
    shutil.copyfileobj(pipe, spool)
    if not spool.tell():
        spool.close()
        where = "on standard input" if pipe is sys.stdin.buffer else f"from {pipe.name}"
        raise CommandFailed(f"no data {where}", "input_unreadable")
    return spool


@contextlib.contextmanager
def atomic_output(target: Path) -> Iterator[IO[bytes]]:
    """A file that is renamed to `target` when the block ends without an exception.

    A device or a pipe is written directly, and a symbolic link is followed. Raises CommandFailed.
    """
    part = None
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as device:
                yield device
            return
        target = target.resolve()
        # Not derived from the target's name, which may have the maximum length.
        part = target.with_name(f".bgremove-{uuid.uuid4().hex}.part")
        with part.open("wb") as file:
            yield file
        replace_with_retry(part, target)
    except OSError as error:
        raise CommandFailed(f"cannot write {target}: {error.strerror}", "output_failed") from error
    except RuntimeError as error:  # of resolve() in Python 3.11 and 3.12, for a symbolic link loop
        raise CommandFailed(f"cannot write {target}: symbolic link loop", "output_failed") from error
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def buffered_stdout() -> Iterator[IO[bytes]]:
    """A buffer that is written to standard output when the block ends. Raises CommandFailed."""
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        yield spool
        spool.seek(0)
        try:
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise CommandFailed(
                f"cannot write to standard output: {error.strerror}", "output_failed"
            ) from error
