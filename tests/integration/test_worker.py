"""One model's worker process behind a dispatcher, without a server around them."""

import asyncio
import itertools
import threading
import time
from pathlib import Path

import pytest

from shared.errors import BgremoveError, OutOfMemory, WorkerCrashed, WorkerStartFailed, WorkerTimeout
from shared.messages import RemovalJob, WorkerConfig
from shared.options import RemovalOptions
from supervisor.workers import exit_diagnosis, process, restart_policy
from supervisor.workers.device import CPU, Device
from supervisor.workers.spec import WorkerSpec
from supervisor.workers.worker import Worker
from tests.dispatching import Bench
from tests.fake_workers.two_at_once import DEVICE_MEMORY_BYTES

BEHAVIOURS = "tests.fake_workers.behaviours"
TWO_AT_ONCE = "tests.fake_workers.two_at_once"
TIMEOUT_S = 60


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


class Case:
    """A worker with a fake process, behind a real dispatcher."""

    def __init__(
        self, folder: Path, entry: str, load_timeout_s: float = TIMEOUT_S, job_timeout_s: float = TIMEOUT_S
    ) -> None:
        self.started_at: list[float] = []  # monotonic seconds
        config = WorkerConfig("onnx", "", 1)
        self._spec = WorkerSpec(entry, config, TIMEOUT_S, load_timeout_s, job_timeout_s)
        self.worker = Worker("test", CPU, self.prepare, folder)
        self.bench = Bench(folder, [self.worker])

    async def prepare(self, _: Device) -> WorkerSpec:
        """Return how to start the process, and remember when."""
        self.started_at.append(time.monotonic())
        return self._spec


def test_as_many_photos_are_in_flight_as_the_worker_takes(tmp_path: Path) -> None:
    """One by one, a GPU would wait for each photo to be decoded."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:in_pairs")

    async def scenario() -> None:
        for _ in range(2):  # the model has to be loaded for the first two
            await asyncio.gather(case.bench.remove(), case.bench.remove())

    case.bench.run(scenario)


def test_a_photo_that_kills_workers_takes_the_one_beside_it_along_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender has done nothing wrong: it is tried again with no other job on the worker."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0,) * 5)
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await case.bench.remove()
        outcomes = case.bench.outcome("sleep 0.5"), case.bench.outcome("exit 3")
        healthy, poison = await asyncio.gather(*outcomes)
        assert not isinstance(healthy, BgremoveError)
        assert isinstance(poison, WorkerCrashed)

    case.bench.run(scenario)


def test_a_jobs_timeout_counts_from_its_start_and_not_from_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With eight jobs in flight a hang would be noticed after eight times the timeout."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0,) * 5)
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys", job_timeout_s=1.5)

    async def scenario() -> None:
        await case.bench.remove()
        start = time.monotonic()
        outcomes = await asyncio.gather(case.bench.outcome("sleep 0.8"), case.bench.outcome("sleep 30"))
        assert not isinstance(outcomes[0], BgremoveError)
        assert isinstance(outcomes[1], WorkerTimeout)
        assert time.monotonic() - start < 15

    case.bench.run(scenario)


def test_a_job_that_reports_progress_without_end_times_out_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeout is for the whole removal: one that goes round in circles would hold its worker."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0,) * 5)
    case = Case(tmp_path, f"{BEHAVIOURS}:obeys", job_timeout_s=0.6)

    async def scenario() -> None:
        await case.bench.remove()
        start = time.monotonic()
        assert isinstance(await case.bench.outcome("flood 30"), WorkerTimeout)
        assert 2 * 0.6 <= time.monotonic() - start < 15  # it is tried twice

    case.bench.run(scenario)


def test_a_job_that_waits_in_the_worker_for_running_ones_does_not_time_out(tmp_path: Path) -> None:
    """Large images run one after the other when the memory is short."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:in_turn", job_timeout_s=1.5)

    async def scenario() -> None:
        await case.bench.remove()
        outcomes = await asyncio.gather(*(case.bench.outcome("sleep 1") for _ in range(3)))
        assert not any(isinstance(outcome, BgremoveError) for outcome in outcomes)

    case.bench.run(scenario)


def test_a_load_that_hangs_after_its_first_progress_is_ended(tmp_path: Path) -> None:
    """The bar would stand at a half until the service ends."""
    case = Case(tmp_path, f"{BEHAVIOURS}:hangs_in_load", load_timeout_s=0.2)

    async def scenario() -> None:
        with pytest.raises(WorkerTimeout, match="stopped loading"):
            await case.worker.load(ignore)

    case.bench.run(scenario)


def test_a_worker_that_dies_again_is_started_after_a_back_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks may be back in a moment; without a back-off, five deaths take less than that."""
    monkeypatch.setattr(restart_policy, "BACKOFF_S", (0.0, 0.5, 0.5, 0.5, 0.5))
    case = Case(tmp_path, f"{BEHAVIOURS}:dies_in_load")

    async def scenario() -> None:
        for _ in range(2):  # each is tried twice
            assert isinstance(await case.bench.outcome(), WorkerStartFailed)
        lives_s = [after - before for before, after in itertools.pairwise(case.started_at)]
        assert len(lives_s) == 3
        assert min(lives_s[1:]) >= 0.5

    case.bench.run(scenario)


def test_a_worker_that_the_system_killed_for_lack_of_memory_is_reported_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user would look for a fault in the photo, and not take a smaller one."""
    counter = itertools.count()
    monkeypatch.setattr(exit_diagnosis, "oom_kills", lambda: next(counter))
    case = Case(tmp_path, f"{BEHAVIOURS}:obeys")

    async def scenario() -> None:
        with pytest.raises(OutOfMemory, match="killed the worker"):
            await case.bench.remove("signal SIGKILL")

    case.bench.run(scenario)


def test_an_unload_reports_the_devices_memory_too(tmp_path: Path) -> None:
    """It is what the user unloads for: a GPU's is scarce."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await case.worker.load(ignore)
        freed = await case.bench.models.lifecycle.unload()
        assert (freed["freed_bytes"] or 0) > DEVICE_MEMORY_BYTES

    case.bench.run(scenario)


def test_a_cancel_does_not_end_the_worker_under_other_peoples_photos(tmp_path: Path) -> None:
    """Next to a client that uploads and cancels, a photo of some seconds was never done."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await case.bench.remove()
        photo = await case.bench.submit("sleep 8", client="patient")
        for _ in range(2):  # each takes longer to cancel than a cancel waits
            other = await case.bench.submit("sleep 3", client="impatient")
            while other.status == "queued":  # noqa: ASYNC110  # no event to wait for
                await asyncio.sleep(0.01)
            await case.bench.tasks.cancel(other)
            assert other.code == "cancelled"
        await photo.wait()
        assert (photo.status, case.worker.process.starts) == ("complete", 1)
        assert isinstance(await case.bench.outcome(), dict)

    case.bench.run(scenario)


def test_a_cancelled_job_that_runs_on_still_takes_its_place(tmp_path: Path) -> None:
    """Else each cancel would put one more photo on the machine than it has memory for."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await case.bench.remove()
        photo = await case.bench.submit("sleep 5")
        cancelled = await case.bench.submit("sleep 4")
        await asyncio.sleep(0.3)
        await case.bench.tasks.cancel(cancelled)
        third = await case.bench.submit("sleep 0")
        await asyncio.sleep(0.5)
        assert third.queue_position == 1
        await asyncio.gather(photo.wait(), third.wait())
        assert third.status == "complete"

    case.bench.run(scenario)


def test_a_cancel_of_the_only_photo_ends_a_worker_that_does_not_stop(tmp_path: Path) -> None:
    """It would compute for nobody while the next one waits."""
    case = Case(tmp_path, f"{TWO_AT_ONCE}:obeys")

    async def scenario() -> None:
        await case.bench.remove()
        task = await case.bench.submit("sleep 60")
        while task.status == "queued":  # noqa: ASYNC110  # no event to wait for
            await asyncio.sleep(0.01)
        await case.bench.tasks.cancel(task)
        assert isinstance(await case.bench.outcome(), dict)
        assert case.worker.process.starts == 2

    case.bench.run(scenario)


@pytest.mark.parametrize("part", ["Pipe", "SimpleQueue", "Process.start", "Thread.start"])
def test_what_the_supervisor_lacks_for_a_moment_is_no_death_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Too many open files for some seconds opened the circuit for five minutes."""
    case = Case(tmp_path, f"{BEHAVIOURS}:obeys")

    def lack(*_: object, **__: object) -> None:
        raise (
            OSError(24, "Too many open files")
            if part != "Thread.start"
            else RuntimeError("can't start thread")
        )

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            if part in ("Pipe", "SimpleQueue"):
                patch.setattr(process.context, part, lack)
            else:
                owner = process.context.Process if part == "Process.start" else threading.Thread
                patch.setattr(owner, "start", lack)
            for _ in range(3):
                with pytest.raises(WorkerStartFailed, match="could not be started"):
                    await case.worker.run(RemovalJob("a", "", "", RemovalOptions()), ignore)
        assert case.worker.problem is None
        assert isinstance(await case.bench.outcome(), dict)

    case.bench.run(scenario)
