"""One child process with its command pipe, its event queue and its thread, from spawn to reap."""

import asyncio
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from shared import child_bootstrap
from shared.messages import Command, DownloadConfig, Event, Loading, Progress, WorkerConfig

BATCH_EVENTS = 256
HANDLING_TIMEOUT_S = 5.0
log = logging.getLogger("supervisor.worker")
context = multiprocessing.get_context("spawn")
# Starting a child reaps any other that has ended; between that and its join, its exit code is unknown.
_reaping = threading.Lock()


class WorkerProcess:
    """One process. Its methods are called on the event loop and never block it.

    A thread spawns the process, hands its events to the loop in batches, and reaps it. The thread lives
    as long as the process, since the kernel's parent-death signal watches the thread that spawned.
    `on_events` and `on_exit` are called on the loop; `on_exit` last, once, with the exit code: negative
    for a signal, None if the process was not spawned, for which `spawn_error` is the reason.
    """

    def __init__(
        self,
        entry: str,
        config: WorkerConfig | DownloadConfig,
        log_path: Path,
        on_events: Callable[[list[Event]], None],
        on_exit: Callable[[int | None], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_events = on_events
        self._on_exit = on_exit
        self.spawn_error: str | None = None
        commands_far, self._commands = context.Pipe(duplex=False)
        self._events: SimpleQueue[Event] = context.SimpleQueue()
        self._reader, events_far = _connections(self._events)
        self._far_ends = (commands_far, events_far)
        self._process = context.Process(
            target=child_bootstrap.run,
            args=(entry, str(log_path), commands_far, self._events, config),
            name=f"bgremove {entry}",
            daemon=True,
        )
        self.pid: int | None = None
        self._lock = threading.Lock()  # guards the process object between kill and reap
        self._terminating = False
        self._thread = threading.Thread(target=self._supervise, name="worker-watch", daemon=True)
        self._thread.start()

    def send(self, command: Command) -> None:
        """Send a command. It is lost if the process is exiting, which `on_exit` reports."""
        try:
            self._commands.send(command)
        except OSError:
            log.debug("command not delivered: worker exiting", extra={"command": type(command).__name__})

    def kill(self) -> None:
        """Kill the process, by SIGKILL: a stopped process ignores anything softer."""
        with self._lock:
            if not self._terminating and self.pid is not None:
                self._process.kill()
            self._terminating = True

    def _supervise(self) -> None:
        code = None
        try:
            if self._spawn():
                self._forward_events()
                code = self._reap()
        except (OSError, RuntimeError) as error:  # descriptors, processes or threads have run out
            self.spawn_error = str(error)
            log.warning("worker process not spawned", extra={"reason": self.spawn_error})
        finally:
            self._close_far_ends()
            self._commands.close()
            self._events.close()
            del self._events  # release OS semaphores immediately, not at the next garbage collection
            self._call_on_loop(lambda: self._on_exit(code))

    def _spawn(self) -> bool:
        with self._lock:
            if self._terminating:
                return False
            with _reaping:
                self._process.start()
            self.pid = self._process.pid
        self._close_far_ends()
        return True

    def _close_far_ends(self) -> None:
        # Without our copies of its ends, the process's death reads as the end of the queue.
        for end in self._far_ends:
            end.close()

    def _forward_events(self) -> None:
        while True:
            ended = self._process.sentinel in wait([self._reader, self._process.sentinel])
            try:
                batch = self._read_batch()
            except (EOFError, OSError):  # nothing more will come
                wait([self._process.sentinel])
                return
            if batch:
                handled = threading.Event()
                self._call_on_loop(partial(self._handle, batch, handled))
                # Back-pressure: a worker that floods waits for its full pipe, and the loop stays responsive.
                handled.wait(HANDLING_TIMEOUT_S)
            elif ended:
                return

    def _read_batch(self) -> list[Event]:
        batch: list[Event] = []
        try:
            while len(batch) < BATCH_EVENTS and self._reader.poll():
                batch.append(self._events.get())
        except (EOFError, OSError):
            if not batch:
                raise
            # The next batch meets the end again; the events before it must not be lost.
        return _coalesce_progress(batch)

    def _handle(self, batch: list[Event], handled: threading.Event) -> None:
        try:
            self._on_events(batch)
        finally:
            handled.set()

    def _reap(self) -> int | None:
        with self._lock, _reaping:
            self._terminating = True
            self._process.join()
            code = self._process.exitcode
            self._process.close()
        return code

    def _call_on_loop(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            log.debug("event loop closed before the worker ended")


def _connections(queue: "SimpleQueue[Event]") -> tuple[Connection, Connection]:
    """Return a queue's reading and writing connection.

    SimpleQueue has no public way to wait for events together with the process's sentinel, nor to close our
    copy of the writing end, without which the process's death does not read as the end of the queue.
    """
    return queue._reader, queue._writer  # type: ignore[attr-defined]  # noqa: SLF001


def signal_name(code: int | None) -> str | None:
    """Return the name of the signal that an exit code stands for; None where it stands for none."""
    if code is None or code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:  # one of the real-time signals, which have no names of their own
        return f"signal {-code}"


def how_ended(code: int | None) -> str:
    """Return how a process ended, such as "by SIGKILL" or "with code 3"."""
    name = signal_name(code)
    return f"by {name}" if name else f"with code {code}"


def _coalesce_progress(events: list[Event]) -> list[Event]:
    """Coalesce progress events: keep the latest of each load and job."""
    kept: dict[object, Event] = {}
    for number, event in enumerate(events):
        subject: object = number
        if isinstance(event, Loading):
            subject = Loading
        elif isinstance(event, Progress):
            subject = event.task_id
        kept.pop(subject, None)  # so that the later one takes its own place in the order
        kept[subject] = event
    return list(kept.values())
