"""The event sender serialises events of concurrent threads."""

import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import pytest

from shared.messages import DownloadConfig, Event, Failed
from worker.download import download_main
from worker.download.download_progress import DownloadProgress
from worker.event_sender import EventSender

FULL_S = 0.02  # a put into a full pipe takes about that long
THREADS = 4


class WindowsQueue(SimpleQueue[Any]):
    """SimpleQueue as on Windows: without a write lock, on a pipe that rejects a concurrent send."""

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


def test_concurrent_events_are_not_lost() -> None:
    """A lost outcome leaves its task running until the timeout."""
    queue = WindowsQueue()
    sender = EventSender(queue)
    events = [Failed(str(number), "damaged_image", "It is damaged.") for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(sender.put, events))
    assert sorted(queue.sent, key=str) == events


def test_a_download_may_report_from_several_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The progress thread reports bytes while the download thread reports the next file's name."""

    def report(_: DownloadConfig, progress: DownloadProgress) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(progress.set_message, ["Fetching"] * THREADS))

    monkeypatch.setattr(download_main, "_download", report)
    monkeypatch.setattr("shared.logs.configure", lambda _: None)
    queue = WindowsQueue()
    download_main.serve(None, queue, DownloadConfig("owner/name", "main", str(tmp_path), code=False))  # type: ignore[arg-type]
    assert len(queue.sent) == THREADS + 1
