"""Child-process bootstrap: redirects output to a log, enables faulthandler, exits with the parent.

Children are spawned, not forked, and share no state with the supervisor: the entry point is passed by name.
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


def run(entry: str, log_path: str, *args: Any) -> None:  # noqa: ANN401  # whatever the entry point takes
    """Prepare this process and call `entry` ("package.module:function") with `args`.

    stdout and stderr go to `log_path`, with a traceback even of a crash inside C code; the supervisor quotes
    its tail when this process dies. SIGINT is ignored: the supervisor handles Ctrl-C.
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
    # The existing streams still write to a Windows console, and are None under pythonw.
    sys.stdout, sys.stderr = _stream(STDOUT), _stream(STDERR)


def _stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _die_with_parent() -> None:
    """Exit as soon as the supervisor has ended, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        # Also kills a process that is stuck in C code. The kernel watches the thread that spawned this
        # process, which the supervisor keeps alive as long as this process.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
