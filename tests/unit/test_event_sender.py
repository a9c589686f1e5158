"""What the supervisor hears of a worker whose threads have something to say at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import pytest

from shared.messages import DownloadConfig, Event, Failed
from worker.download import download_main
from worker.download.download_progress import Meter
from worker.event_sender import EventSender

FULL_S = 0.02  # as long as a put takes while the pipe is full
THREADS = 4


class WindowsQueue(SimpleQueue[Any]):
    """The queue as it is on Windows: without a lock, on a pipe that refuses a second sender."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self._sending = False

    def put(self, obj: Event) -> None:
        if self._sending:
            raise ValueError("concurrent send_bytes() calls are not supported")
        self._sending = True
        time.sleep(FULL_S)
        self.sent.append(obj)
        self._sending = False


def test_no_event_of_several_threads_is_lost() -> None:
    """One of two photos that were done at once was lost: its task went on until its time was up."""
    queue = WindowsQueue()
    outbox = EventSender(queue)
    events = [Failed(str(number), "damaged_image", "It is damaged.") for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(outbox.put, events))
    assert sorted(queue.sent, key=str) == events


def test_a_download_that_tells_how_far_it_is_beside_its_steps_ends_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bytes that came in are told by another thread than the next file's name."""

    def say_much(_: DownloadConfig, meter: Meter) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(meter.say, ["Fetching"] * THREADS))

    monkeypatch.setattr(download_main, "_download", say_much)
    monkeypatch.setattr("shared.logs.configure", lambda _: None)
    queue = WindowsQueue()
    download_main.serve(None, queue, DownloadConfig("owner/name", "main", str(tmp_path), code=False))  # type: ignore[arg-type]
    assert len(queue.sent) == THREADS + 1
