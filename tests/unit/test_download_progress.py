"""Download progress: the heartbeat of a waiting download."""

import threading

import pytest

from supervisor.workers import download_process
from worker.download import download_progress


def test_a_waiting_download_sends_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """During a long back-off, the supervisor would otherwise take the silence for a hang."""
    heartbeat_s = download_progress.INTERVAL_S * download_progress.HEARTBEAT_TICKS
    assert 2 * heartbeat_s < download_process.SILENCE_TIMEOUT_S
    monkeypatch.setattr(download_progress, "INTERVAL_S", 0.001)
    message, heartbeat = (0, "The hub is busy", False), (0, "The hub is busy", True)
    reports: list[tuple[float, str, bool]] = []
    two_heartbeats = threading.Event()

    def report(percent: float, message: str, transient: bool) -> None:  # noqa: FBT001  # the event's own order
        reports.append((percent, message, transient))
        if reports.count(heartbeat) == 2:
            two_heartbeats.set()

    with download_progress.DownloadProgress(report) as progress:
        progress.set_message("The hub is busy")
        assert two_heartbeats.wait(10)
    assert reports.count(message) == 1
