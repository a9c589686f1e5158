"""Process guard: `python -m shared.process_guard COMMAND…` kills COMMAND and its children when stdin closes.

The supervisor holds the other end of this process's standard input. When that closes, because the supervisor
cancels or because it was killed itself, the command's whole tree is killed at once. Until then the command's
output passes through. The exit code is the command's, 128 + n where signal n ended it, 127 where it could
not be started.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_CHILD_SUBREAPER = 36  # Linux, prctl(2)
CANNOT_START = 127
SIGNALLED = 128


def main(command: list[str]) -> int:
    """Run `command` to its end or to the end of standard input; return the exit code."""
    # Ctrl-C at a terminal reaches every process there; it is the supervisor's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = _start(command)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        return CANNOT_START
    signal.signal(signal.SIGTERM, lambda *_: _kill_tree(process))
    threading.Thread(target=_watch, args=(process,), name="tether", daemon=True).start()
    code = process.wait()
    _reap_tree(process)
    return code if code >= 0 else SIGNALLED - code


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the command as the head of a process group of its own, which can be killed as one."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, creationflags=flags)
    if sys.platform == "linux":
        # The children of a killed process become ours, not the system's: in a container without an init
        # nobody would reap those.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def _watch(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):  # a broken pipe is as much of an end
        while os.read(0, 4096):
            pass
    _kill_tree(process)


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        # By its full path: a program of that name elsewhere on PATH must not be run in its place.
        taskkill = os.path.join(os.environ["SYSTEMROOT"], "System32", "taskkill.exe")  # noqa: PTH118
        kill = [taskkill, "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(kill, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone; macOS' word for "all zombies"
        os.killpg(process.pid, signal.SIGKILL)


def _reap_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill what the command left behind, and wait until it is gone where the system lets us."""
    if sys.platform == "win32":
        return  # there, another process may have its id by now
    _kill_tree(process)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
