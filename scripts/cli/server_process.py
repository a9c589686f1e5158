"""A supervisor of the command's own, on a free port, that ends with the command."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.command_errors import CommandFailed

START_FAILED = "server_start_failed"
ENDED = "server_ended"
START_S = 60
STOP_S = 6  # the supervisor gives itself 5 to end its workers once standard input is closed
DYING_S = 1  # its connections break a moment before the process is gone
READER_S = 1  # longer only if some other process holds the pipe's other end
POLL_S = 0.1  # how late Ctrl-C is noticed on Windows while waiting; the line itself is never late
TAIL_LINES = 15
TAIL_BYTES = 16 * 1024
# Meant for a server that others reach; here they would move it or lock us out.
TOKEN_VARIABLE = "BGREMOVE_TOKEN"  # noqa: S105 - its name; never among the arguments, which all users can read
DROPPED_VARIABLES = ("BGREMOVE_HOST", "BGREMOVE_ALLOWED_HOSTS", "BGREMOVE_PORT", TOKEN_VARIABLE)
FOLDER_VARIABLES = ("BGREMOVE_DATA_DIR", "BGREMOVE_TEMP_DIR")
MODEL_VARIABLE = "BGREMOVE_MODEL"  # may be a folder, told by its beginning
UTF_8 = {"PYTHONIOENCODING": "utf-8"}  # Python writes into Windows' pipes in the user's code page
if sys.platform == "win32":
    CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    CREATION_FLAGS = 0


def _placed(name: str, value: str) -> str:
    """Return a variable's value, a folder's name in full: the server runs in a folder of its own."""
    is_folder = name in FOLDER_VARIABLES or (name == MODEL_VARIABLE and value.startswith("."))
    return str(Path(value).absolute()) if is_folder and value and not value.startswith("~") else value


class ServerProcess:
    """Starts at once; wait_ready() gives its address when it answers; as a context it ends with the block."""

    def __init__(self, python: Path, root: Path, settings: Mapping[str, str]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._started = time.monotonic()
        kept = {name: _placed(name, os.environ[name]) for name in os.environ if name not in DROPPED_VARIABLES}
        try:
            self._process = subprocess.Popen(
                [python, "-m", "supervisor", "--port", "0", "--exit-on-stdin-eof"],
                cwd=root,
                env=kept | UTF_8 | dict(settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                # Ctrl-C is for this process, which then closes the other's standard input.
                start_new_session=sys.platform != "win32",
                creationflags=CREATION_FLAGS,
            )
        except OSError as error:
            self._stderr.close()
            raise CommandFailed(f"the server could not be started: {error}", START_FAILED) from error
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_ready(self) -> str:
        """The server's address, from the one line that it writes when it is ready."""
        while time.monotonic() < self._started + START_S:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=POLL_S)
                if line:
                    return self._address(line)
                raise self._failed("the server ended before it was ready", START_FAILED)
        raise self._failed(f"the server was not ready after {START_S} s", START_FAILED)

    def check_alive(self) -> None:
        """Say what the server said last, where it has ended: more use than 'connection refused'."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(DYING_S)
            raise self._failed(f"the server ended unexpectedly (code {code})", ENDED)

    def stop(self) -> None:
        """End the server and what it started, for certain."""
        try:
            self._end()
        finally:
            self._reader.join(READER_S)
            if self._process.stdout and not self._reader.is_alive():
                self._process.stdout.close()
            self._stderr.close()

    def _read(self) -> None:
        """Hand on the first line, then keep the pipe empty, so that the server never waits to write."""
        if self._process.stdout:
            self._lines.put(self._process.stdout.readline())
            while self._process.stdout.read(TAIL_BYTES):
                pass

    def _address(self, line: bytes) -> str:
        try:
            ready = json.loads(line)
            host, port = str(ready["host"]), int(ready["port"])
        except (ValueError, KeyError, TypeError):
            said = line[:200].decode(errors="replace").strip()
            raise self._failed(
                f"the server's first words were not its address: {said}", START_FAILED
            ) from None
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _failed(self, what: str, code: str) -> CommandFailed:
        self._end()
        # Read only now: both processes share the file's position.
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - TAIL_BYTES))
        tail = self._stderr.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        said = "".join(f"\n  {line}" for line in tail)
        return CommandFailed(f"{what}{':' if said else ''}{said}", code)

    def _end(self) -> None:
        try:
            if self._process.stdin:
                with contextlib.suppress(OSError):  # it has ended already
                    self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        finally:  # also when a second Ctrl-C breaks the wait
            if self._process.poll() is None:
                self._kill()

    def _kill(self) -> None:
        import psutil  # noqa: PLC0415 - hardly ever needed, and not free

        victims = []
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self._process.pid)
            victims = [supervisor, *supervisor.children(recursive=True)]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        self._process.wait()
