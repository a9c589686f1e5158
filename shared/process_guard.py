"""Process guard: `python -m shared.process_guard COMMAND…` kills COMMAND's process tree when stdin closes.

The supervisor holds the write end of this process's stdin. It closes when the supervisor cancels the command
or is killed itself. stdout and stderr are inherited. The exit code is the command's, 128 + n if signal n
killed it, or 127 if it cannot be started.
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
SIGNAL_EXIT_OFFSET = 128  # shells report a command killed by signal n as 128 + n


def main(command: list[str]) -> int:
    """Run `command` until it exits or stdin closes; return the exit code."""
    # Ctrl-C at a terminal reaches every process of the session; the supervisor handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = _start(command)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        return CANNOT_START
    signal.signal(signal.SIGTERM, lambda *_: _kill_tree(process))
    threading.Thread(target=_watch_stdin, args=(process,), name="stdin-watch", daemon=True).start()
    code = process.wait()
    _reap_tree(process)
    return code if code >= 0 else SIGNAL_EXIT_OFFSET - code


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the command as the leader of a process group of its own, which can be killed as a whole."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, creationflags=flags)
    if sys.platform == "linux":
        # Orphans of the tree are reparented to this process, which reaps them. Without it they would stay as
        # zombies in a container that has no init process.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def _watch_stdin(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):  # a broken pipe counts as EOF
        while os.read(0, 4096):
            pass
    _kill_tree(process)


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        # By its full path, so that no other taskkill.exe on PATH is run.
        taskkill = os.path.join(os.environ["SYSTEMROOT"], "System32", "taskkill.exe")  # noqa: PTH118
        kill = [taskkill, "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(kill, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM if all are zombies
        os.killpg(process.pid, signal.SIGKILL)


def _reap_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill the processes that the command left behind, and wait until they have ended."""
    if sys.platform == "win32":
        return  # the process id may be in use again there
    _kill_tree(process)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
