"""Download progress: the heartbeat of a waiting download."""

import threading

import pytest

from supervisor.models import downloads
from worker.download import download_progress


def test_a_waiting_download_sends_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """During a long back-off, the supervisor would otherwise take the silence for a hang."""
    assert 2 * download_progress.INTERVAL_S * download_progress.HEARTBEAT_TICKS < downloads.SILENCE_TIMEOUT_S
    monkeypatch.setattr(download_progress, "INTERVAL_S", 0.001)
    reports: list[tuple[float, str, bool]] = []
    two_heartbeats = threading.Event()

    def report(percent: float, message: str, passing: bool) -> None:  # noqa: FBT001  # the event's own order
        reports.append((percent, message, passing))
        if len(reports) > 2:
            two_heartbeats.set()

    with download_progress.DownloadProgress(report) as progress:
        progress.set_message("The hub is busy")
        assert two_heartbeats.wait(10)
    assert reports[:3] == [(0, "The hub is busy", False), *[(0, "The hub is busy", True)] * 2]
