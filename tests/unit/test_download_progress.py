"""How a download shows that it still lives."""

import threading

import pytest

from supervisor.workers import download_process
from worker.download import download_progress


def test_a_download_that_waits_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that asks to come again in a minute: the supervisor would take the silence for a hang."""
    sign_of_life_s = download_progress.INTERVAL_S * download_progress.SIGN_OF_LIFE_TICKS
    assert 2 * sign_of_life_s < download_process.SILENCE_TIMEOUT_S
    monkeypatch.setattr(download_progress, "INTERVAL_S", 0.001)
    words, sign = (0, "The hub is busy", False), (0, "The hub is busy", True)
    told: list[tuple[float, str, bool]] = []
    two_signs = threading.Event()

    def tell(percent: float, message: str, passing: bool) -> None:  # noqa: FBT001  # the event's own order
        told.append((percent, message, passing))
        if told.count(sign) == 2:
            two_signs.set()

    with download_progress.Meter(tell) as waiting:
        waiting.say("The hub is busy")
        assert two_signs.wait(10)
    assert told.count(words) == 1
