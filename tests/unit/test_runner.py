"""The job runner and the worker's start-up: every failure becomes an event, and the worker keeps serving."""

import multiprocessing
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from PIL import Image

from shared import logs
from shared.errors import DamagedImage
from shared.messages import (
    Event,
    Failed,
    Finished,
    LoadFailed,
    ModelInfo,
    Progress,
    Ready,
    RemovalJob,
    WorkerConfig,
)
from shared.options import RemovalOptions
from tests.fake_workers.by_light import Light
from tests.fake_workers.talk import MODEL
from tests.photos import encoded
from worker import main, memory_gate, pipeline, runner
from worker.engines import ProgressFn, loaders
from worker.imaging import decode, parallel
from worker.imaging.geometry import Pixels
from worker.imaging.memory_estimate import estimate_removal_bytes
from worker.inference_thread import InferenceThread

WAIT_S = 20


class Faulty(Light):
    """An engine that raises each given error once, and then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Raise the next error, or return the image's luma."""
        if self.errors:
            raise self.errors.pop(0)
        return super().predict_alpha(pixels, on_progress)


@pytest.fixture
def model() -> Iterator[InferenceThread]:
    """The faulty engine on its inference thread."""
    with InferenceThread() as thread:
        thread.load(lambda: Faulty(MemoryError(), ZeroDivisionError("a bug")))
        yield thread


def wait_for_outcome(events: "queue.SimpleQueue[Event]") -> Event:
    """Return the next event that is not progress."""
    while isinstance(event := events.get(timeout=WAIT_S), Progress):
        pass
    return event


def test_any_error_of_a_job_is_reported_and_the_next_job_runs(tmp_path: Path, model: InferenceThread) -> None:
    """An unreported job would block its client until the timeout kills the worker and all of its jobs."""
    (tmp_path / "photo").write_bytes(encoded(Image.new("RGB", (4, 3), "white")))
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with ThreadPoolExecutor(1) as pool:
        jobs = runner.JobRunner(pool, model, events, 100)  # a queue of this process
        for code in ("out_of_memory", "internal_error", None):
            jobs.submit(RemovalJob("a", str(tmp_path / "photo"), str(tmp_path / "result"), RemovalOptions()))
            outcome = wait_for_outcome(events)
            assert isinstance(outcome, Failed if code else Finished)
            assert not isinstance(outcome, Failed) or outcome.code == code


def first_event(threads: int | None = None, **load: Any) -> Event:
    """Start a worker with a mocked load and a closed command pipe; return its first event."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    supervisor_end, commands = multiprocessing.Pipe()
    supervisor_end.close()
    with (
        mock.patch.object(loaders, "load", **load),
        mock.patch.object(logs, "configure"),
        mock.patch.object(decode, "configure"),
    ):
        main.serve(commands, events, WorkerConfig("onnx", "", 100, threads=threads))  # type: ignore[arg-type]
    return events.get(timeout=WAIT_S)


def test_a_memory_error_during_the_load_is_reported_as_out_of_memory() -> None:
    """So that the user is advised to use a smaller model, and does not read of a crash."""
    detail = "There is not enough memory for the model."
    assert first_event(side_effect=MemoryError) == LoadFailed("out_of_memory", detail)


def test_a_ready_worker_reports_its_max_concurrency() -> None:
    """Without it, the dispatcher sends one job at a time, and the model idles while an image is decoded."""
    assert first_event(return_value=Light()) == Ready(replace(MODEL, max_concurrency=2))


def test_a_worker_limits_its_cores_before_it_loads_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine makes its threads during the load."""
    monkeypatch.setattr(parallel, "_core_limit", None)
    seen: list[int] = []

    def load(*_: object) -> Light:
        seen.append(parallel.available_cores())
        return Light()

    first_event(threads=1, side_effect=load)
    assert seen == [1]


@pytest.mark.parametrize(
    ("device", "cores", "concurrency"), [("cpu", 64, 2), ("cuda", 1, 2), ("cuda:1", 4, 4), ("mps", 64, 8)]
)
def test_max_concurrency_on_a_gpu_follows_the_cores_within_bounds(
    monkeypatch: pytest.MonkeyPatch, device: str, cores: int, concurrency: int
) -> None:
    """With fewer jobs the GPU waits for decoding; with more, decoded images only fill the memory."""
    monkeypatch.setattr(runner, "available_cores", lambda: cores)
    assert runner.max_concurrency(device) == concurrency


def test_a_removal_that_does_not_fit_is_refused_and_one_that_waits_sends_no_progress(
    tmp_path: Path, model: InferenceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor counts a job's timeout from its first progress."""
    monkeypatch.setattr(memory_gate, "PATIENCE_S", 0.2)
    (tmp_path / "photo").write_bytes(encoded(Image.new("RGB", (40, 30), "white")))
    job = RemovalJob("a", str(tmp_path / "photo"), str(tmp_path / "result"), RemovalOptions())
    need_bytes = estimate_removal_bytes(job, 10_000)
    assert need_bytes > 1200 * 8
    available = [need_bytes - 1]
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with ThreadPoolExecutor(2) as pool:
        gate = memory_gate.MemoryGate(lambda: available[0])
        jobs = runner.JobRunner(pool, model, events, 10_000, gate)
        jobs.submit(job)
        refused = events.get(timeout=WAIT_S)
        assert isinstance(refused, Failed)
        assert refused.code == "out_of_memory"
        available[0] = need_bytes
        with gate.admit(need_bytes, lambda: None):
            jobs.submit(job)
            with pytest.raises(queue.Empty):
                events.get(timeout=0.3)
            jobs.cancel("a")
            cancelled = events.get(timeout=WAIT_S)
        assert isinstance(cancelled, Failed)
        assert cancelled.code == "cancelled"


@pytest.mark.parametrize(("megapixels", "is_released"), [(60, True), (12, False)])
def test_the_memory_of_a_large_image_is_returned_before_the_next_one_is_admitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megapixels: int, *, is_released: bool
) -> None:
    """The C library would retain it, and a worker that waits its turn would still grow."""
    calls: list[str] = []

    class Gate(memory_gate.MemoryGate):
        @contextmanager
        def admit(self, need_bytes: int, check_cancelled: Callable[[], None]) -> Iterator[None]:  # noqa: ARG002
            assert (need_bytes > memory_gate.LARGE_JOB_BYTES) is is_released
            try:
                yield
            finally:
                calls.append("left")

    def remove(*_: object) -> None:
        calls.append("removed")
        raise DamagedImage

    monkeypatch.setattr(runner, "estimate_removal_bytes", lambda *_: megapixels * 8_800_000)
    monkeypatch.setattr(runner, "release_freed_memory", lambda: calls.append("released"))
    monkeypatch.setattr(pipeline, "remove", remove)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with ThreadPoolExecutor(1) as pool:
        jobs = runner.JobRunner(pool, mock.Mock(), events, 10**8, Gate())
        jobs.submit(RemovalJob("a", str(tmp_path / "photo"), str(tmp_path / "result"), RemovalOptions()))
        assert isinstance(events.get(timeout=WAIT_S), Failed)
    assert calls == ["removed", *["released"] * is_released, "left"]
