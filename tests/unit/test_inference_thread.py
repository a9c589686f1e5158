"""Two removals share one model: it sees one photo at a time, and who gives up waiting does not hold it up."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from shared.errors import Cancelled
from shared.messages import ModelInfo
from worker.engines import Step
from worker.imaging.geometry import Box, Pixels
from worker.inference_thread import CHECK_EVERY_S, InferenceThread

PIXELS = np.zeros((3, 4, 3), np.uint8)
WAIT_S = 10


class Slow:
    """An engine that looks at a photo until it is told to go on."""

    model_info = ModelInfo("slow", "cpu", "float32")

    def __init__(self) -> None:
        self.looking = threading.Event()
        self.go_on = threading.Event()
        self.threads: set[int] = set()

    def pixels(self, photo: Image.Image, _box: Box | None = None) -> Pixels:
        """Return all of them."""
        return np.asarray(photo)

    def alpha(self, _: Pixels, step: Step) -> Pixels:
        """Return an empty alpha."""
        self.threads.add(threading.get_ident())
        self.looking.set()
        assert self.go_on.wait(WAIT_S)
        step(1)
        return np.zeros((3, 4), np.uint8)


def ignore(*_: object) -> None:
    """Follow nothing."""


def give_up() -> None:
    """Be cancelled."""
    raise Cancelled


@pytest.fixture
def slow() -> Slow:
    """An engine that waits."""
    return Slow()


@pytest.fixture
def model(slow: Slow) -> Iterator[InferenceThread]:
    """The engine on its thread."""
    with InferenceThread() as thread:
        thread.load(lambda: slow)
        yield thread
        slow.go_on.set()


def test_one_photo_is_seen_at_a_time_and_the_wait_is_told_apart(model: InferenceThread, slow: Slow) -> None:
    """Two at once would need twice the memory; and a wait is not the model's slowness."""
    with ThreadPoolExecutor(2) as pool:
        waiting = threading.Event()  # set by a check, of which the first comes after CHECK_EVERY_S
        engines = [model.engine(ignore), model.engine(waiting.set)]
        first = pool.submit(engines[0].alpha, PIXELS, ignore)
        assert slow.looking.wait(WAIT_S)
        second = pool.submit(engines[1].alpha, PIXELS, ignore)
        assert waiting.wait(WAIT_S)
        assert not second.done()
        slow.go_on.set()
        assert first.result(WAIT_S).shape == second.result(WAIT_S).shape == (3, 4)
    assert len(slow.threads) == 1
    told = engines[1].timed({"decode": 5.0, "inference": 1000.0})
    assert told["queued"] > 900 * CHECK_EVERY_S  # milliseconds
    assert told["queued"] + told["inference"] == pytest.approx(1000, abs=0.2)


def test_a_removal_that_waits_can_be_cancelled_while_another_is_seen(
    model: InferenceThread, slow: Slow
) -> None:
    """On a CPU the other one may take half a minute, and the supervisor waits two seconds."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(model.engine(ignore).alpha, PIXELS, ignore)
        assert slow.looking.wait(WAIT_S)
        with pytest.raises(Cancelled):
            model.engine(give_up).alpha(PIXELS, ignore)
        assert not first.done()
        slow.go_on.set()
        assert first.result(WAIT_S).shape == (3, 4)
