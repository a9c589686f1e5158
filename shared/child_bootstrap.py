"""What every child process of the supervisor does first, whatever it is for.

Children are spawned, so nothing of the supervisor is in them: the entry point comes as a name.
"""

import ctypes
import faulthandler
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait
from typing import Any, TextIO

STDOUT, STDERR = 1, 2
PR_SET_PDEATHSIG = 1  # Linux, prctl(2)


def run(entry: str, log_path: str, *args: Any) -> None:  # noqa: ANN401  # the entry point knows its own
    """Prepare this process and call `entry` ("package.module:function") with `args`.

    Standard output and error go to `log_path`, from which the supervisor quotes when this process
    dies; even a crash inside C code leaves its trace there. Ctrl-C is the supervisor's to handle.
    """
    _redirect_output(log_path)
    faulthandler.enable(STDERR)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    module, _, name = entry.partition(":")
    getattr(importlib.import_module(module), name)(*args)


def _redirect_output(log_path: str) -> None:
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, STDOUT)
    os.dup2(log, STDERR)
    os.close(log)
    # Python's own streams still write to a Windows console where there was one, and are None in pythonw.
    sys.stdout, sys.stderr = _stream(STDOUT), _stream(STDERR)


def _stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _die_with_parent() -> None:
    """End this process as soon as the supervisor is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        # The kernel's own guard also ends a process that is stuck inside C code. It watches the thread
        # that spawned us, which the supervisor keeps alive as long as this process.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
