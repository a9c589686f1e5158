"""One removal from end to end: send the photo, follow its task, write the result."""

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
from cli.option_flags import Options, with_flags
from cli.outputs import Job
from cli.retry import RetriesExhausted, RetryPolicy
from shared.file_replace import replace_with_retry

if TYPE_CHECKING:
    from cli.api_client import Payload

MEMORY_BYTES = 16 * 1024**2  # of a picture that came or goes through a pipe; a larger one waits in a file

Show = Callable[[float, str], None]


@dataclass
class Cutter:
    """Cuts photos out with one service and one set of options. Threads may share it."""

    service: Service
    options: Options
    images: dict[str, Path]
    _stopped: threading.Event = field(default_factory=threading.Event)
    _tasks: set[str] = field(default_factory=set)
    _retry: RetryPolicy = field(init=False)

    def __post_init__(self) -> None:
        """Give the retry policy this client's probe and interruptible sleep."""
        self._retry = RetryPolicy(self._answers, self.pause)

    def cut_patiently(self, job: Job, show: Show) -> Payload:
        """Cut one photo out, through restarts of the service. Raises CommandFailed."""
        if not job.source.lasts:
            return self.cut(job, show)
        return self._retry.call(lambda: self.cut(job, show))

    def cut(self, job: Job, show: Show) -> Payload:
        """Cut one photo out and return what the service tells of it. Raises CommandFailed."""
        try:
            return self._cut(job, show)
        except CommandFailed as error:
            error.detail = with_flags(error.detail)
            raise

    def _cut(self, job: Job, show: Show) -> Payload:
        self._check_wanted()
        show(0, "Sending the photo")
        task_id = self._send(job.source, show)
        self._tasks.add(task_id)
        try:
            if self._stopped.is_set():  # since it was sent: stop() did not know of it
                self.service.client.cancel(task_id)
            self.service.client.finish(task_id, show)
            result = self.service.client.result(task_id)
        except (KeyboardInterrupt, Terminated):  # only the main thread meets them; for others there is stop()
            self.service.client.cancel(task_id)
            raise
        finally:
            self._tasks.discard(task_id)
        with _to_stdout() if job.output is None else _whole(job.output) as file:
            self.service.client.fetch(str(result["result_url"]), lambda chunk: self._write(file, chunk))
        self.service.client.forget(task_id)  # a batch would fill the server's disk for an hour to come
        return result

    def pause(self, seconds: float) -> None:
        """Wait. Raises CommandFailed once the work is given up."""
        self._stopped.wait(seconds)
        self._check_wanted()

    def stop(self) -> None:
        """Give up what is on its way, also on the server; what is being written is left unwritten."""
        self._stopped.set()
        for task_id in list(self._tasks):
            self.service.client.cancel(task_id)

    def _write(self, file: IO[bytes], chunk: bytes) -> None:
        self._check_wanted()
        file.write(chunk)

    def _answers(self) -> bool:
        """Whether the service answers. Raises RetriesExhausted for one of our own that has ended."""
        try:
            self.service.check_alive()
        except CommandFailed as error:
            raise RetriesExhausted(error.detail, error.code) from error
        try:
            self.service.client.check()
        except CommandFailed:
            return False
        return True

    def _check_wanted(self) -> None:
        if self._stopped.is_set():
            raise CommandFailed("stopped", "cancelled")

    def _send(self, source: Source, show: Show) -> str:
        def announce(delay_s: float) -> None:
            show(0, f"The queue is full, next attempt in {delay_s:.0f} s")

        with contextlib.ExitStack() as stack:
            return self._retry.call_when_free(self._sender(source, stack), announce)

    def _sender(self, source: Source, stack: contextlib.ExitStack) -> Callable[[], str]:
        if source.kind == "address":
            return lambda: self.service.client.send_address(source.name, self.options)
        photo = stack.enter_context(
            _spooled(sys.stdin.buffer) if source.kind == "stdin" else _opened(source.path)
        )
        name = source.path.name if source.kind == "file" else source.stem
        name = name.encode("utf-8", "replace").decode()  # old disks have names in other encodings
        files = {"file": (name, photo)}
        for option, path in self.images.items():
            files[option] = (path.name, stack.enter_context(_opened(path)))

        def send() -> str:
            try:
                for _, file in files.values():
                    file.seek(0)
                return self.service.client.upload(self.options, files)
            except OSError as error:  # of a file: the connection's own come as something else
                raise CommandFailed(
                    f"cannot read {source.name}: {error.strerror}", "input_unreadable"
                ) from error

        return send


def _opened(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}", "input_unreadable") from error
    if file.seekable():
        return file
    with file:  # a pipe that has a name
        return _spooled(file)


def _spooled(pipe: IO[bytes]) -> IO[bytes]:
    """Read a pipe to its end: a full queue may want it a second time."""
    spool = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - the caller's block closes it
    shutil.copyfileobj(pipe, spool)
    if not spool.tell():
        spool.close()
        where = "on standard input" if pipe is sys.stdin.buffer else f"from {pipe.name}"
        raise CommandFailed(f"nothing came {where}", "input_unreadable")
    return spool


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when the block has ended well.

    A device or a pipe is written to as it is, and a link stays one.
    """
    part = None
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as device:
                yield device
            return
        target = target.resolve()
        # Not named after the target, whose name may be as long as names can be.
        part = target.with_name(f".bgremove-{uuid.uuid4().hex}.part")
        with part.open("wb") as file:
            yield file
        replace_with_retry(part, target)
    except OSError as error:
        raise CommandFailed(f"cannot write {target}: {error.strerror}", "output_failed") from error
    except RuntimeError as error:  # of Python 3.11 and 3.12, for a link that leads to itself
        raise CommandFailed(f"cannot write {target}: it is a link to itself", "output_failed") from error
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def _to_stdout() -> Iterator[IO[bytes]]:
    """Standard output, which gets the picture only when it is whole."""
    with tempfile.SpooledTemporaryFile(MEMORY_BYTES) as spool:
        yield spool
        spool.seek(0)
        try:
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise CommandFailed(
                f"cannot write to standard output: {error.strerror}", "output_failed"
            ) from error
