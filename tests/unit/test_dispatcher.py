"""The contract of the dispatcher, with workers that answer, fail, crash and hang on demand."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from shared.errors import (
    DamagedImage,
    QueueFull,
    Stopping,
    WorkerCrashed,
    WorkerReplaced,
    WorkerStartFailed,
)
from shared.messages import RemovalJob, RemovalResult
from shared.options import RemovalOptions
from supervisor.jobs import records
from supervisor.jobs.job import SOURCE, RemoteImage
from supervisor.jobs.records import EndedRecord
from supervisor.workers.restart_policy import CIRCUIT_DEATHS
from supervisor.workers.spec import OnProgress
from tests.dispatching import Bench, ScriptedWorker, finished, text_of


class Script:
    """What the workers of a test do: by a job's text they answer, fail, crash, are replaced, or hang."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.inside: list[str] = []
        self.together: list[set[str]] = []
        self.release = asyncio.Event()
        self.cancelled: list[str] = []

    async def behave(self, job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        """Run a job."""
        text = text_of(job)
        name, _, wish = text.partition(":")
        self.runs.append(name)
        self.inside.append(name)
        self.together.append(set(self.inside))
        try:
            on_progress(45, "Removing the background")
            return await self._obey(job, name, wish)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.inside.remove(name)

    async def _obey(self, job: RemovalJob, name: str, wish: str) -> RemovalResult:
        await asyncio.sleep(0)
        match wish:
            case "fail":
                raise DamagedImage
            case "crash":
                raise WorkerCrashed
            case "crash-once" if self.runs.count(name) == 1:
                raise WorkerCrashed
            case "replaced" if self.runs.count(name) <= 5:
                raise WorkerReplaced
            case "bug":
                raise ZeroDivisionError
            case "hang":
                await self.release.wait()
        return finished(job)


class Case:
    """A script and the bench that runs it."""

    def __init__(self, folder: Path, concurrency: int = 1, workers: int = 1, limit: int = 100) -> None:
        self.script = Script()
        self.workers = [
            ScriptedWorker(self.script.behave, concurrency, f"worker{number}") for number in range(workers)
        ]
        self.bench = Bench(folder, self.workers, limit)


async def settle() -> None:
    """Let every coroutine run as far as it can, threads included."""
    for _ in range(20):
        await asyncio.sleep(0.002)


def test_a_job_that_is_answered_is_complete_and_its_files_are_there(tmp_path: Path) -> None:
    """The plain case."""
    case = Case(tmp_path)

    async def scenario() -> None:
        task = await case.bench.submit("a")
        await task.wait()
        assert (task.status, task.percent, task.queue_position) == ("complete", 100, None)
        result = case.bench.spool.result(task.id)
        assert case.bench.spool.file(result["result_file_id"]).download_name == "photo-cutout.png"
        assert len(case.bench.queue) == 0

    case.bench.run(scenario)


def test_a_job_that_fails_is_not_tried_again_and_leaves_no_file(tmp_path: Path) -> None:
    """An image that is damaged stays damaged."""
    case = Case(tmp_path)

    async def scenario() -> None:
        task = await case.bench.submit("a:fail")
        await task.wait()
        assert (task.code, case.script.runs) == ("damaged_image", ["a"])
        assert not (case.bench.spool.folder / task.id).exists()

    case.bench.run(scenario)


def test_a_crash_is_retried_once_and_alone(tmp_path: Path) -> None:
    """What the worker died of may be any of the jobs that it had."""
    case = Case(tmp_path, concurrency=2)

    async def scenario() -> None:
        outcomes = await asyncio.gather(*(case.bench.outcome(text) for text in ("a:crash-once", "b", "c")))
        assert not any(isinstance(outcome, Exception) for outcome in outcomes)
        assert case.script.runs.count("a") == 2
        first = case.script.runs.index("a")
        assert case.script.together[case.script.runs.index("a", first + 1)] == {"a"}

    case.bench.run(scenario)


def test_the_time_of_a_failed_attempt_is_no_time_in_the_queue(tmp_path: Path) -> None:
    """Operators add workers where photos wait long."""
    attempts: list[str] = []

    async def behave(job: RemovalJob, _: OnProgress) -> RemovalResult:
        attempts.append(job.task_id)
        if len(attempts) == 1:
            await asyncio.sleep(0.3)
            raise WorkerCrashed
        return finished(job)

    bench = Bench(tmp_path, [ScriptedWorker(behave)])

    async def scenario() -> None:
        timings_ms = (await bench.remove())["timings_ms"]
        assert timings_ms["queued"] < 200
        assert timings_ms["total"] >= 300

    bench.run(scenario)


def test_two_crashes_are_the_workers_error(tmp_path: Path) -> None:
    """A photo that kills workers must not do so forever, nor take the others along."""
    case = Case(tmp_path, concurrency=2)

    async def scenario() -> None:
        poison, healthy = await asyncio.gather(
            case.bench.submit("poison:crash"), case.bench.submit("healthy")
        )
        await asyncio.gather(poison.wait(), healthy.wait())
        assert (poison.code, healthy.status) == ("worker_crashed", "complete")
        assert case.script.runs.count("poison") == 2

    case.bench.run(scenario)


def test_a_replacement_on_request_is_no_attempt(tmp_path: Path) -> None:
    """An operator may restart the worker as often as they like."""
    case = Case(tmp_path)

    async def scenario() -> None:
        task = await case.bench.submit("a:replaced")
        await task.wait()
        assert (task.status, case.script.runs.count("a")) == ("complete", 6)

    case.bench.run(scenario)


def test_a_retry_comes_before_all_that_wait(tmp_path: Path) -> None:
    """It has waited for its turn already."""
    case = Case(tmp_path)

    async def scenario() -> None:
        tasks = [await case.bench.submit(text) for text in ("hang:hang", "a:crash-once", "b", "c")]
        case.script.release.set()
        await asyncio.gather(*(task.wait() for task in tasks))
        assert case.script.runs == ["hang", "a", "a", "b", "c"]

    case.bench.run(scenario)


def test_an_exclusive_job_drains_one_worker_and_no_other(tmp_path: Path) -> None:
    """With two devices, one of them has to go on while a retry is alone on the other."""
    case = Case(tmp_path, concurrency=2, workers=2)

    async def scenario() -> None:
        hanging = [await case.bench.submit(f"hang{number}:hang") for number in range(2)]
        await settle()
        alone = await case.bench.submit("alone:hang", exclusive=True)
        others = [await case.bench.submit(f"other{number}") for number in range(3)]
        await asyncio.gather(*(task.wait() for task in others))
        assert "alone" not in case.script.runs
        case.script.release.set()
        await asyncio.gather(*(task.wait() for task in (*hanging, alone)))
        assert alone.status == "complete"

    case.bench.run(scenario)


def test_no_job_joins_one_that_runs_alone(tmp_path: Path) -> None:
    """It would die with the worker."""
    case = Case(tmp_path, concurrency=2)

    async def scenario() -> None:
        alone = await case.bench.submit("alone:hang", exclusive=True)
        await settle()
        other = await case.bench.submit("other")
        await settle()
        assert case.script.runs == ["alone"]
        case.script.release.set()
        await asyncio.gather(alone.wait(), other.wait())

    case.bench.run(scenario)


def test_as_many_jobs_run_as_the_worker_has_slots(tmp_path: Path) -> None:
    """One by one, a GPU would wait for each photo to be decoded."""
    case = Case(tmp_path, concurrency=2)

    async def scenario() -> None:
        tasks = [await case.bench.submit(f"{number}:hang") for number in range(4)]
        await settle()
        assert sorted(case.script.inside) == ["0", "1"]
        case.script.release.set()
        await asyncio.gather(*(task.wait() for task in tasks))
        assert max(len(together) for together in case.script.together) == 2

    case.bench.run(scenario)


def test_slots_that_appear_when_the_model_is_loaded_are_used(tmp_path: Path) -> None:
    """The first job loads the model; only then it is known how many fit."""
    case = Case(tmp_path, concurrency=0)

    async def scenario() -> None:
        tasks = [await case.bench.submit(f"{number}:hang") for number in range(2)]
        await settle()
        assert case.script.inside == ["0"]
        assert case.bench.fetched == ["model"]
        (worker,) = case.workers
        worker.concurrency = 2
        worker._notify()
        await settle()
        assert case.script.inside == ["0", "1"]
        case.script.release.set()
        await asyncio.gather(*(task.wait() for task in tasks))

    case.bench.run(scenario)


@pytest.mark.parametrize("percent", [0, 40, 100])
def test_a_load_is_the_first_five_percent_of_a_removal(tmp_path: Path, percent: float) -> None:
    """A bar that the load fills would stand at 100 % while the photo is still processed."""
    seen: list[tuple[float, str]] = []

    async def behave(job: RemovalJob, on_progress: OnProgress) -> RemovalResult:
        (task,) = bench.tasks
        on_progress(percent, "Loading the model")
        seen.append((task.percent, task.message))
        worker.concurrency = 1
        on_progress(percent, "Removing the background")
        seen.append((task.percent, task.message))
        return finished(job)

    worker = ScriptedWorker(behave, concurrency=0)
    bench = Bench(tmp_path, [worker])

    async def scenario() -> None:
        await bench.remove()
        assert seen == [(percent / 20, "Loading the model"), (percent, "Removing the background")]

    bench.run(scenario)


def test_one_clients_photo_is_among_the_next_two_after_anothers_forty(tmp_path: Path) -> None:
    """Fairness, as the one with a single photo notices it."""
    case = Case(tmp_path)

    async def scenario() -> None:
        many = [await case.bench.submit(f"a{number}", client="a") for number in range(40)]
        await settle_until(case, 3)
        one = await case.bench.submit("b", client="b")
        started = len(case.script.runs)
        await one.wait()
        assert case.script.runs.index("b") - started < 2
        await asyncio.gather(*(task.wait() for task in many))

    case.bench.run(scenario)


async def settle_until(case: Case, runs: int) -> None:
    """Wait until that many jobs have started."""
    while len(case.script.runs) < runs:  # noqa: ASYNC110  # no event to wait for
        await asyncio.sleep(0)


def test_positions_are_told_while_jobs_wait(tmp_path: Path) -> None:
    """A client sees that it moves."""
    case = Case(tmp_path)

    async def scenario() -> None:
        tasks = [await case.bench.submit(f"{number}:hang") for number in range(3)]
        other = await case.bench.submit("other:hang", client="two")
        await settle()
        positions = [task.payload()["queue_position"] for task in (*tasks, other)]
        assert positions == [None, 1, 3, 2]
        await case.bench.tasks.cancel(tasks[1])
        assert [task.payload()["queue_position"] for task in (*tasks, other)] == [None, None, 1, 2]
        case.script.release.set()
        await asyncio.gather(*(task.wait() for task in (*tasks, other)))

    case.bench.run(scenario)


@pytest.mark.parametrize("state", ["waiting", "running"])
def test_a_job_can_be_cancelled_at_any_time(tmp_path: Path, state: str) -> None:
    """And leaves neither a place taken, nor a slot, nor a file."""
    case = Case(tmp_path)

    async def scenario() -> None:
        first = await case.bench.submit("first:hang")
        second = await case.bench.submit("second")
        await settle()
        task = first if state == "running" else second
        await case.bench.tasks.cancel(task)
        assert (task.status, task.code) == ("error", "cancelled")
        assert not (case.bench.spool.folder / task.id).exists()
        assert len(case.bench.queue) == 1
        case.script.release.set()
        await asyncio.gather(first.wait(), second.wait())
        assert isinstance(await case.bench.outcome("third"), dict)
        assert case.script.cancelled == (["first"] if state == "running" else [])

    case.bench.run(scenario)


def test_a_cancel_during_the_commit_leaves_one_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of the result and that of the cancel would be written at the same time."""
    case = Case(tmp_path)
    case.bench.spool.durable = True
    write, writing, release = records.write_ended, threading.Event(), threading.Event()

    def hold(folder: Path, record: EndedRecord) -> None:
        writing.set()
        release.wait(10)
        write(folder, record)

    monkeypatch.setattr(records, "write_ended", hold)

    async def scenario() -> None:
        task = await case.bench.submit("a")
        await asyncio.to_thread(writing.wait, 10)
        cancelling = asyncio.create_task(case.bench.tasks.cancel(task))
        await settle()
        release.set()
        await cancelling
        ended = records.read_ended(case.bench.spool.folder / task.id)
        assert ended is not None
        assert (task.status, ended["error"]) == ("complete", None)
        assert case.bench.spool.file(case.bench.spool.result(task.id)["result_file_id"]).path.is_file()

    case.bench.run(scenario)


def test_a_job_that_is_cancelled_as_it_goes_back_into_the_queue_is_not_run_again(tmp_path: Path) -> None:
    """Nobody would be there for its result, and its worker might die of it again."""
    case = Case(tmp_path)

    async def scenario() -> None:
        task = await case.bench.submit("a:crash")
        while task.status == "queued":  # noqa: ASYNC110  # no event to wait for
            await asyncio.sleep(0)
        await case.bench.tasks.cancel(task)
        assert task.code in ("cancelled", "worker_crashed")
        await settle()
        assert (len(case.bench.queue), case.script.inside) == (0, [])

    case.bench.run(scenario)


def test_all_jobs_end_when_the_service_does(tmp_path: Path) -> None:
    """A client that follows one must learn that it has to come again, wherever the job was."""
    case = Case(tmp_path)

    async def scenario() -> None:
        tasks = [await case.bench.submit(f"{number}:hang") for number in range(3)]
        await settle()
        await case.bench.dispatcher.close()
        assert {task.code for task in tasks} == {"stopping"}
        assert len(case.bench.queue) == 0
        with pytest.raises(Stopping):
            await case.bench.submit("late")

    case.bench.run(scenario)


def test_a_full_queue_refuses_and_counts_it(tmp_path: Path) -> None:
    """Running jobs count too: their files are on the disk."""
    case = Case(tmp_path, limit=2)

    async def scenario() -> None:
        tasks = [await case.bench.submit(f"{number}:hang") for number in range(2)]
        await settle()
        with pytest.raises(QueueFull):
            await case.bench.submit("third")
        value = case.bench.metrics.registry.get_sample_value
        assert value("bgremove_removals_total", {"outcome": "queue_full"}) == 1
        case.script.release.set()
        await asyncio.gather(*(task.wait() for task in tasks))

    case.bench.run(scenario)


def test_jobs_are_refused_while_the_circuit_is_open(tmp_path: Path) -> None:
    """They would wait for a worker that is not started any more."""
    case = Case(tmp_path)

    async def scenario() -> None:
        (worker,) = case.workers
        for _ in range(CIRCUIT_DEATHS):
            worker.process.policy.record_load_death()
        with pytest.raises(WorkerStartFailed, match="crashed repeatedly"):
            await case.bench.submit("a")

    case.bench.run(scenario)


def test_a_bug_ends_the_job_and_nothing_else(tmp_path: Path) -> None:
    """One exception that nobody foresaw must not hold up the others."""
    case = Case(tmp_path)

    async def scenario() -> None:
        task = await case.bench.submit("a:bug")
        await task.wait()
        assert task.code == "internal_error"
        assert isinstance(await case.bench.outcome("b"), dict)

    case.bench.run(scenario)


def test_jobs_wait_while_the_workers_are_paused(tmp_path: Path) -> None:
    """While packages are installed no worker may start."""
    case = Case(tmp_path)

    async def scenario() -> None:
        async with case.bench.pool.pause():
            task = await case.bench.submit("a")
            await settle()
            assert (case.script.runs, task.status) == ([], "queued")
        await task.wait()
        assert task.status == "complete"

    case.bench.run(scenario)


def test_auto_is_resolved_when_the_job_is_dispatched(tmp_path: Path) -> None:
    """A job that was accepted while BiRefNet was missing uses it if it is there when its turn comes."""
    case = Case(tmp_path)

    async def scenario() -> None:
        blocking = await case.bench.submit("a:hang")
        await settle()
        refreshes = case.bench.models.refreshes
        waiting = await case.bench.submit("b", options=RemovalOptions(model="auto"))
        case.script.release.set()
        await asyncio.gather(blocking.wait(), waiting.wait())
        assert case.bench.models.refreshes > refreshes

    case.bench.run(scenario)


def test_a_remote_image_that_is_refused_ends_the_job(tmp_path: Path) -> None:
    """Its place in the queue is given back."""
    case = Case(tmp_path)

    async def scenario() -> None:
        remote = RemoteImage("http://127.0.0.1:1/photo.png", "url")
        task = await case.bench.submit("", image=remote)
        await task.wait()
        assert task.code == "url_failed"
        assert len(case.bench.queue) == 0
        with_background = await case.bench.submit("", background=RemoteImage(remote.url, "bg_image_url"))
        await with_background.wait()
        assert "'bg_image_url'" in with_background.message
        assert case.script.runs == []
        assert not case.bench.spool.path(task.id, SOURCE).exists()

    case.bench.run(scenario)


def test_a_job_that_is_cancelled_while_its_image_is_fetched_ends(tmp_path: Path) -> None:
    """A server that never answers must not keep the job."""
    case = Case(tmp_path)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            task = await case.bench.submit("", image=RemoteImage(f"http://127.0.0.1:{port}/a.png", "url"))
            await settle()
            await case.bench.tasks.cancel(task)
        assert task.code == "cancelled"
        assert len(case.bench.queue) == 0

    case.bench.run(scenario)
