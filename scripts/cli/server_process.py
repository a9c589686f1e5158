"""Server subprocess: starts a supervisor on a free port, reads its ready line, ends its process tree."""

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
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 6  # the supervisor takes up to 5 to end its workers after EOF on standard input
EXIT_TIMEOUT_S = 1  # its connections close a moment before the process ends
READER_TIMEOUT_S = 1  # exceeded only if another process holds the pipe's other end
POLL_S = 0.1  # on Windows a blocking wait delays Ctrl-C
TAIL_LINES = 15
TAIL_BYTES = 16 * 1024
TOKEN_VARIABLE = "BGREMOVE_TOKEN"  # noqa: S105 - its name; never an argument, which all users can read
# Meant for a server on the network; here they would move it or deny access.
DROPPED_VARIABLES = ("BGREMOVE_HOST", "BGREMOVE_ALLOWED_HOSTS", "BGREMOVE_PORT", TOKEN_VARIABLE)
TRANSIENT = {"BGREMOVE_DURABLE": "false"}  # nobody asks this server for a result later
PRESETS_VARIABLE = "BGREMOVE_PRESETS"
PATH_VARIABLES = ("BGREMOVE_DATA_DIR", "BGREMOVE_TEMP_DIR", PRESETS_VARIABLE)
MODEL_VARIABLE = "BGREMOVE_MODEL"  # a name or a path, see shared/catalog.py
UTF_8 = {"PYTHONIOENCODING": "utf-8"}  # on Windows pipes have the user's code page
if sys.platform == "win32":
    CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    CREATION_FLAGS = 0


def _absolute_path(name: str, value: str) -> str:
    """Return a variable's value, a relative path made absolute: the server runs in another folder."""
    is_path = name in PATH_VARIABLES or (name == MODEL_VARIABLE and value.startswith("."))
    return str(Path(value).absolute()) if is_path and value and not value.startswith("~") else value


class ServerProcess:
    """A supervisor started by the constructor and stopped at the end of the `with` block.

    `settings` are environment variables for it, `module` is what Python runs. Raises CommandFailed if the
    process cannot be started.
    """

    def __init__(
        self, python: Path, root: Path, settings: Mapping[str, str], module: str = "supervisor"
    ) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._started = time.monotonic()
        names = [name for name in os.environ if name not in DROPPED_VARIABLES]
        inherited = {name: _absolute_path(name, os.environ[name]) for name in names}
        try:
            self._process = subprocess.Popen(
                [python, "-m", module, "--port", "0", "--exit-on-stdin-eof"],
                cwd=root,
                env=inherited | UTF_8 | TRANSIENT | dict(settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                # Ctrl-C is for this process, which then closes the server's standard input.
                start_new_session=sys.platform != "win32",
                creationflags=CREATION_FLAGS,
            )
        except OSError as error:
            self._stderr.close()
            raise CommandFailed(f"the server could not be started: {error}", START_FAILED) from error
        self._reader = threading.Thread(target=self._read_stdout, daemon=True)
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
        """Wait for the ready line and return the server's URL. Raises CommandFailed."""
        while time.monotonic() < self._started + START_TIMEOUT_S:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=POLL_S)
                if line:
                    return self._parse_ready_line(line)
                raise self._end_with_error("the server ended before it was ready", START_FAILED)
        raise self._end_with_error(f"the server was not ready after {START_TIMEOUT_S} s", START_FAILED)

    def check_alive(self) -> None:
        """Raise CommandFailed, with the tail of the log, if the server has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(EXIT_TIMEOUT_S)
            raise self._end_with_error(f"the server ended unexpectedly (code {code})", ENDED)

    def stop(self) -> None:
        """End the server and its workers, by force if necessary."""
        try:
            self._end()
        finally:
            self._reader.join(READER_TIMEOUT_S)
            if self._process.stdout and not self._reader.is_alive():
                self._process.stdout.close()
            self._stderr.close()

    def _read_stdout(self) -> None:
        """Queue the first line, then drain the pipe, so that the server never blocks on it."""
        if self._process.stdout:
            self._lines.put(self._process.stdout.readline())
            while self._process.stdout.read(TAIL_BYTES):
                pass

    def _parse_ready_line(self, line: bytes) -> str:
        try:
            ready = json.loads(line)
            host, port = str(ready["host"]), int(ready["port"])
        except (ValueError, KeyError, TypeError):
            text = line[:200].decode(errors="replace").strip()
            raise self._end_with_error(f"the server's ready line is invalid: {text}", START_FAILED) from None
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _end_with_error(self, message: str, code: str) -> CommandFailed:
        """End the server and return an error with the last lines of its log."""
        self._end()
        # Read only now: both processes share the file's position.
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - TAIL_BYTES))
        lines = self._stderr.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        tail = "".join(f"\n  {line}" for line in lines)
        return CommandFailed(f"{message}{':' if tail else ''}{tail}", code)

    def _end(self) -> None:
        try:
            if self._process.stdin:
                with contextlib.suppress(OSError):  # it has ended already
                    self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        finally:  # also when a second Ctrl-C interrupts the wait
            if self._process.poll() is None:
                self._kill_tree()

    def _kill_tree(self) -> None:
        import psutil  # noqa: PLC0415 - rarely needed, and slow to import

        processes = []
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self._process.pid)
            processes = [supervisor, *supervisor.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
