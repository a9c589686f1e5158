"""Residency and placement: which models a device holds, and which waiting job gets a slot."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from shared.errors import WorkerReplaced
from shared.messages import ModelInfo, RemovalJob, RemovalResult
from shared.options import RemovalOptions
from supervisor.jobs.placement import MAX_OVERTAKING
from supervisor.models.lifecycle import ModelLifecycle
from supervisor.tasks.task import Task
from supervisor.workers.device import Device
from supervisor.workers.pool import WorkerPool
from supervisor.workers.residency import Residency
from supervisor.workers.spec import OnProgress
from supervisor.workers.state import WorkerState
from supervisor.workers.worker import Worker
from tests.dispatching import Bench, ScriptedWorker, StubFiles, StubModels, finished

GPU = Device("cuda:0")


class LoadableWorker(ScriptedWorker):
    """A worker without a process, whose model is loaded by its first job and ended by an eviction."""

    def __init__(self, model: str, device: Device, runs: list[str], go: asyncio.Event | None = None) -> None:
        super().__init__(self._record, name=device.name)
        self.model = model
        self.loads = 0
        self._runs = runs
        self._go = go

    @property
    def alive(self) -> bool:
        """Whether it is loaded."""
        return self.state is not WorkerState.STOPPED

    @property
    def model_info(self) -> ModelInfo | None:
        """The model, while it is loaded."""
        return ModelInfo(self.model, "cpu", "float32") if self.alive else None

    def kill(self, cause: WorkerReplaced) -> None:
        """End."""
        assert "evicted" in cause.detail
        assert not self.in_flight, "it was evicted while it ran a job"
        self.process.state = WorkerState.STOPPED
        self._notify()

    async def _record(self, job: RemovalJob, _: OnProgress) -> RemovalResult:
        if not self.alive:
            self.loads += 1
            self.process.state = WorkerState.READY
        self.last_used_s += 1
        self._runs.append(self.model)
        if self._go is not None:
            await self._go.wait()
        return finished(job)


class ManyModels(StubModels):
    """Models on one device, which holds `limit` of them."""

    def __init__(self, bench: Bench, names: str, limit: int, device: Device = GPU) -> None:
        self.runs: list[str] = []
        self.go = asyncio.Event()  # jobs end when it is set
        self.workers = {name: LoadableWorker(name, device, self.runs, self.go) for name in names}
        pools = {
            name: WorkerPool(name, [device], lambda _, worker=worker: worker)  # type: ignore[misc]
            for name, worker in self.workers.items()
        }
        self.lifecycles = {
            name: ModelLifecycle(bench.tasks, pool, StubFiles()) for name, pool in pools.items()
        }
        super().__init__(next(iter(self.lifecycles.values())))
        self.residency = Residency(limit, lambda: cast("list[Worker]", [*self.workers.values()]))

    def resolve(self, name: str) -> ModelLifecycle:
        """Return the model of that name."""
        return self.lifecycles[name]

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Pass all changes on."""
        for lifecycle in self.lifecycles.values():
            lifecycle.pool.subscribe(on_change)
            lifecycle.pool.subscribe(self.residency.note_change)


def with_models(
    folder: Path, names: str, limit: int, scenario: Callable[[Bench, ManyModels], Coroutine[Any, Any, None]]
) -> None:
    """Run a scenario with models of one letter on a device that holds `limit` of them."""
    bench = Bench(folder, [ScriptedWorker(lambda job, _: asyncio.sleep(0, finished(job)))])
    models = ManyModels(bench, names, limit)
    bench.dispatcher._models = cast("Any", models)
    bench.run(lambda: scenario(bench, models))


async def submit(bench: Bench, names: str, client: str | None = None) -> list[Task]:
    """Submit a job for each letter's model, each letter being a client of its own."""
    return [
        await bench.submit(name, client=client or name, options=RemovalOptions(model=name)) for name in names
    ]


async def ended(models: ManyModels, tasks: list[Task]) -> None:
    """Let all jobs end, and wait for the tasks' successful ends."""
    models.go.set()
    for task in tasks:
        await task.wait()
        task.raise_failure()
    await asyncio.sleep(0.01)  # a slot is given back after that
    models.go.clear()


def loaded(models: ManyModels) -> str:
    """Return the letters of the loaded models."""
    return "".join(name for name, worker in models.workers.items() if worker.alive)


def test_the_least_recently_used_model_is_evicted_for_another_one(tmp_path: Path) -> None:
    """A device holds so many models; the one that is asked for all the time stays."""

    async def scenario(bench: Bench, models: ManyModels) -> None:
        for name in "aba":
            await ended(models, await submit(bench, name))
        assert loaded(models) == "ab"
        await ended(models, await submit(bench, "c"))
        assert loaded(models) == "ac"

    with_models(tmp_path, "abc", 2, scenario)


def test_two_models_that_are_asked_for_in_turns_are_not_loaded_in_turns(tmp_path: Path) -> None:
    """A load takes longer than a photo; each client's photos keep their order."""

    async def scenario(bench: Bench, models: ManyModels) -> None:
        await ended(models, await submit(bench, "ab" * 20))
        assert models.runs in (["a"] * 20 + ["b"] * 20, ["b"] * 20 + ["a"] * 20)
        assert {worker.loads for worker in models.workers.values()} == {1}

    with_models(tmp_path, "ab", 1, scenario)


def test_no_job_is_overtaken_by_more_than_its_bound(tmp_path: Path) -> None:
    """Else one client's photos could keep another one's waiting as long as it sends more."""

    async def scenario(bench: Bench, models: ManyModels) -> None:
        first = await submit(bench, "a")
        late = await submit(bench, "b")
        many = await submit(bench, "a" * 90)
        await ended(models, first + late + many)
        assert MAX_OVERTAKING <= models.runs.index("b") <= MAX_OVERTAKING + 2
        assert models.workers["a"].loads == 2

    with_models(tmp_path, "ab", 1, scenario)


def test_the_room_for_a_job_that_is_due_goes_to_no_other_one(tmp_path: Path) -> None:
    """Though its client had a turn on another device meanwhile: the eviction would have been for nothing."""

    async def scenario(bench: Bench, models: ManyModels) -> None:
        models.workers["c"].device = Device("cuda:1")
        first = await submit(bench, "a")
        many = await submit(bench, "b" + "c" * 45, "two models") + await submit(bench, "a" * 45)
        await ended(models, first + many)
        on_gpu = [name for name in models.runs if name != "c"]
        assert MAX_OVERTAKING // 2 <= on_gpu.index("b") <= MAX_OVERTAKING + 2
        assert models.workers["a"].loads == 2

    with_models(tmp_path, "abc", 1, scenario)


def test_a_model_that_is_being_evicted_gets_no_room_for_itself() -> None:
    """Its next job would take the room that the eviction makes."""
    evicted, wanting = (LoadableWorker(name, GPU, []) for name in "ab")
    evicted.process.state = WorkerState.STOPPING
    residency = Residency(1, lambda: [evicted, wanting])
    assert not residency.has_room(evicted)
    assert not residency.has_room(wanting), "not yet"
    evicted.process.state = WorkerState.STOPPED
    assert residency.has_room(evicted)
    assert residency.has_room(wanting)


def test_models_on_devices_of_their_own_do_not_evict_each_other(tmp_path: Path) -> None:
    """The bound is of each device."""

    async def scenario(bench: Bench, models: ManyModels) -> None:
        models.workers["b"].device = Device("cuda:1")
        await ended(models, await submit(bench, "abab"))
        assert loaded(models) == "ab"

    with_models(tmp_path, "ab", 1, scenario)


def test_a_load_on_request_waits_until_a_model_is_idle(tmp_path: Path) -> None:
    """The running job is not lost for it."""

    async def scenario(bench: Bench, models: ManyModels) -> None:
        await ended(models, await submit(bench, "a"))
        slot = models.workers["a"].try_acquire(exclusive=False)
        assert slot is not None
        waiting = asyncio.create_task(models.residency.make_room(models.workers["b"]))
        await asyncio.sleep(0.01)
        assert loaded(models) == "a"
        assert not waiting.done()
        slot.release()
        await asyncio.wait_for(waiting, 5)
        assert loaded(models) == ""

    with_models(tmp_path, "ab", 1, scenario)


def test_a_load_that_fails_for_memory_may_evict_what_is_idle_only(tmp_path: Path) -> None:
    """All of it: how much memory each model gives back is not known."""

    async def scenario(bench: Bench, models: ManyModels) -> None:
        await ended(models, await submit(bench, "abc"))
        slot = models.workers["a"].try_acquire(exclusive=False)
        assert slot is not None
        assert await models.residency.evict_idle(models.workers["d"])
        assert loaded(models) == "a"
        assert not await models.residency.evict_idle(models.workers["d"])
        slot.release()

    with_models(tmp_path, "abcd", 4, scenario)


def test_workers_on_the_cpu_share_its_memory() -> None:
    """Each counts its models; what frees memory is any of them, but none on a GPU."""
    runs: list[str] = []
    on_cpu, on_gpu, wanting = (
        LoadableWorker(name, Device(device), runs)
        for name, device in (("a", "cpu:0"), ("b", "cuda:0"), ("c", "cpu:1"))
    )
    for worker in (on_cpu, on_gpu):
        worker.process.state = WorkerState.READY

    async def scenario() -> None:
        residency = Residency(1, lambda: [on_cpu, on_gpu, wanting])
        assert residency.has_room(wanting)
        assert await residency.evict_idle(wanting)
        assert (on_cpu.alive, on_gpu.alive) == (False, True)

    asyncio.run(scenario())


def test_auto_counts_as_the_device_that_it_turned_out_to_be() -> None:
    """Else a machine without a GPU would hold twice as many models."""
    builtin = LoadableWorker("a", Device("cpu"), [])
    builtin.process.state = WorkerState.READY
    automatic = LoadableWorker("b", Device("auto", is_auto=True), [])
    residency = Residency(1, lambda: [builtin, automatic])
    assert residency.has_room(automatic), "it may be a GPU"
    residency.auto = Device("cpu", is_auto=True)
    assert not residency.has_room(automatic)


def test_a_cluster_holds_as_many_models_as_its_actors_leave_room_for() -> None:
    """An actor that finds no free GPU would wait without end."""
    loaded = LoadableWorker("a", Device("cluster"), [])
    loaded.process.state = WorkerState.READY
    wanting = LoadableWorker("b", Device("cluster"), [])
    for cluster_limit, has_room in ((1, False), (2, True)):
        residency = Residency(3, lambda: [loaded, wanting], cluster_limit)
        assert residency.has_room(wanting) is has_room
