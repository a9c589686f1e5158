"""What the worker makes of photos, and of a load, that break in ways of which nobody thought."""

import multiprocessing
import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from PIL import Image

from shared import logs
from shared.messages import Event, Failed, Finished, LoadFailed, Progress, Ready, RemovalJob, WorkerConfig
from shared.options import RemovalOptions
from tests.fake_workers.by_light import Light
from tests.fake_workers.talk import MODEL
from tests.photos import encoded
from worker import main, runner
from worker.engines import Step, loaders
from worker.imaging import decode
from worker.imaging.geometry import Pixels
from worker.inference_thread import InferenceThread

WAIT_S = 20


class Faulty(Light):
    """An engine that fails in one way after the other, and then works."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Fail, or return the photo's luma."""
        if self.faults:
            raise self.faults.pop(0)
        return super().alpha(pixels, step)


@pytest.fixture
def model() -> Iterator[InferenceThread]:
    """The faulty engine on its thread."""
    with InferenceThread() as thread:
        thread.load(lambda: Faulty(MemoryError(), ZeroDivisionError("a fault of ours")))
        yield thread


def ends(events: "queue.SimpleQueue[Event]") -> Event:
    """Wait for a removal's end."""
    while isinstance(event := events.get(timeout=WAIT_S), Progress):
        pass
    return event


def test_whatever_a_photo_causes_is_told_and_the_next_one_is_done(
    tmp_path: Path, model: InferenceThread
) -> None:
    """Its client would wait until the worker is ended for it, five minutes later, with all that it holds."""
    (tmp_path / "photo").write_bytes(encoded(Image.new("RGB", (4, 3), "white")))
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with ThreadPoolExecutor(1) as pool:
        work = runner.JobRunner(pool, model, events, 100)  # type: ignore[arg-type]  # a queue of this process
        for code in ("out_of_memory", "internal_error", None):
            work.begin(RemovalJob("a", str(tmp_path / "photo"), str(tmp_path / "result"), RemovalOptions()))
            end = ends(events)
            assert isinstance(end, Failed if code else Finished)
            assert not isinstance(end, Failed) or end.code == code


def first_word(**load: Any) -> Event:
    """Return the first thing that a worker says whose load is that, and whose supervisor is gone."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    gone, commands = multiprocessing.Pipe()
    gone.close()
    with (
        mock.patch.object(loaders, "load", **load),
        mock.patch.object(logs, "configure"),
        mock.patch.object(decode, "configure"),
    ):
        main.serve(commands, events, WorkerConfig("builtin", "", 100))  # type: ignore[arg-type]
    return events.get(timeout=WAIT_S)


def test_a_load_without_enough_memory_is_told_as_that() -> None:
    """The user would read of a worker that ended, and not that a smaller model would do."""
    said = "There is not enough memory for the model."
    assert first_word(side_effect=MemoryError) == LoadFailed("out_of_memory", said)


def test_a_worker_says_how_many_photos_it_takes_at_once() -> None:
    """It would be sent one by one, and its model would wait while each is decoded."""
    assert first_word(return_value=Light()) == Ready(replace(MODEL, max_concurrency=2))


@pytest.mark.parametrize(
    ("device", "cores", "at_once"), [("cpu", 64, 2), ("cuda", 1, 2), ("cuda:1", 4, 4), ("mps", 64, 8)]
)
def test_a_gpu_is_fed_by_as_many_cores_as_there_are(
    monkeypatch: pytest.MonkeyPatch, device: str, cores: int, at_once: int
) -> None:
    """With fewer it waits for photos to be decoded; with more, photos fill the memory and wait for it."""
    monkeypatch.setattr(runner, "available_cores", lambda: cores)
    assert runner.max_concurrency(device) == at_once
