"""The inference thread: serialises forward passes, and lets waiting removals cancel."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from shared.errors import Cancelled
from shared.messages import ModelInfo
from worker.engines import ProgressFn
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels
from worker.inference_thread import CANCEL_POLL_S, InferenceThread

PIXELS = np.zeros((3, 4, 3), np.uint8)
WAIT_S = 10


class Slow:
    """An engine whose forward pass blocks until `release` is set."""

    model_info = ModelInfo("slow", "cpu", "float32")

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()
        self.threads: set[int] = set()

    def preprocess(self, _image: ModelInput, _box: Box | None = None) -> Pixels:
        """Return a constant input."""
        return PIXELS

    def predict_alpha(self, _: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Return an empty matte."""
        self.threads.add(threading.get_ident())
        self.started.set()
        assert self.release.wait(WAIT_S)
        on_progress(1)
        return np.zeros((3, 4), np.uint8), self.model_info


def ignore(*_: object) -> None:
    """Do nothing."""


def cancel() -> None:
    """Raise as a cancelled removal does."""
    raise Cancelled


@pytest.fixture
def slow() -> Slow:
    """An engine that blocks."""
    return Slow()


@pytest.fixture
def model(slow: Slow) -> Iterator[InferenceThread]:
    """The engine on its inference thread."""
    with InferenceThread() as thread:
        thread.load(lambda: slow)
        yield thread
        slow.release.set()


def test_forward_passes_are_serialised_and_the_queue_time_is_separate(
    model: InferenceThread, slow: Slow
) -> None:
    """Two concurrent passes need twice the memory; and the wait does not count as inference time."""
    with ThreadPoolExecutor(2) as pool:
        waiting = threading.Event()  # set by the first check, after CANCEL_POLL_S
        engines = [model.create_proxy(ignore), model.create_proxy(waiting.set)]
        first = pool.submit(engines[0].predict_alpha, PIXELS, ignore)
        assert slow.started.wait(WAIT_S)
        second = pool.submit(engines[1].predict_alpha, PIXELS, ignore)
        assert waiting.wait(WAIT_S)
        assert not second.done()
        slow.release.set()
        assert first.result(WAIT_S)[0].shape == second.result(WAIT_S)[0].shape == (3, 4)
    assert len(slow.threads) == 1
    timings = engines[1].separate_queue_time({"decode": 5.0, "inference": 1000.0})
    assert timings["queued"] > 900 * CANCEL_POLL_S  # milliseconds
    assert timings["queued"] + timings["inference"] == pytest.approx(1000, abs=0.2)


def test_the_waits_for_both_passes_of_one_removal_are_its_queue_time(
    model: InferenceThread, slow: Slow
) -> None:
    """With high detail a removal waits twice; neither wait is time of the model."""
    slow.release.set()
    proxy = model.create_proxy(ignore)
    for seconds in (0.2, 0):
        model._thread.submit(time.sleep, seconds)
        proxy.predict_alpha(PIXELS, ignore)
    assert proxy.separate_queue_time({"inference": 1000.0})["queued"] > 190


def test_a_waiting_removal_can_be_cancelled_during_another_pass(model: InferenceThread, slow: Slow) -> None:
    """A pass may take half a minute on a CPU, and the supervisor allows two seconds for a cancel."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(model.create_proxy(ignore).predict_alpha, PIXELS, ignore)
        assert slow.started.wait(WAIT_S)
        with pytest.raises(Cancelled):
            model.create_proxy(cancel).predict_alpha(PIXELS, ignore)
        assert not first.done()
        slow.release.set()
        assert first.result(WAIT_S)[0].shape == (3, 4)
