"""The worker pool: which worker gets a job."""

from shared.messages import RemovalJob, RemovalResult
from supervisor.workers.pool import WorkerPool
from supervisor.workers.restart_policy import CIRCUIT_DEATHS
from supervisor.workers.slots import Slot
from supervisor.workers.spec import OnProgress
from supervisor.workers.worker import Worker
from tests.dispatching import ScriptedWorker, finished, make_pool


async def behave(job: RemovalJob, _: OnProgress) -> RemovalResult:
    """Succeed."""
    return finished(job)


def pool_of(*concurrency: int) -> tuple[WorkerPool, list[ScriptedWorker]]:
    """Return a pool of workers that take so many jobs each."""
    workers = [ScriptedWorker(behave, count, f"worker{n}") for n, count in enumerate(concurrency)]
    return make_pool(workers), workers


def acquire(
    pool: WorkerPool,
    *,
    exclusive: bool = False,
    reserved: set[Worker] | None = None,
    avoided: Worker | None = None,
) -> Slot | None:
    """Acquire a slot in a round of its own."""
    reserved = set() if reserved is None else reserved
    return pool.try_acquire(exclusive=exclusive, reserved=reserved, avoided=avoided)


def break_down(worker: Worker) -> None:
    """Let a worker die so often that it is not started any more."""
    for _ in range(CIRCUIT_DEATHS):
        worker.process.policy.record_load_death()


def test_the_least_loaded_worker_gets_the_next_job() -> None:
    """Else one device computes two photos while another one idles."""
    pool, workers = pool_of(3, 3)
    slots = [acquire(pool) for _ in range(6)]
    assert [slot.worker.name for slot in slots if slot] == ["fake@worker0", "fake@worker1"] * 3
    assert acquire(pool) is None
    for slot in (slots[1], slots[3]):
        assert slot is not None
        slot.release()
    assert [worker.in_flight for worker in workers] == [3, 1]
    for _ in range(2):
        slot = acquire(pool)
        assert slot is not None
        assert slot.worker is workers[1]


def test_a_worker_that_is_not_started_any_more_gets_no_job_while_another_one_works() -> None:
    """Each of its jobs would fail, and it is always the least loaded."""
    pool, (broken, healthy) = pool_of(1, 1)
    break_down(broken)
    assert pool.problem is None
    for exclusive in (False, True):
        slot = acquire(pool, exclusive=exclusive)
        assert slot is not None
        assert slot.worker is healthy
        assert acquire(pool, exclusive=exclusive) is None, "it waits for the healthy one"
        slot.release()
    break_down(healthy)
    assert pool.problem is not None
    assert acquire(pool) is not None, "the job then ends with the reason"


def test_an_exclusive_slot_reserves_the_worker_that_is_free_first() -> None:
    """The others of the round go elsewhere, or it would never be free."""
    pool, workers = pool_of(2, 2)
    held = [acquire(pool) for _ in range(3)]  # two on the first, one on the second
    reserved: set[Worker] = set()
    assert acquire(pool, exclusive=True, reserved=reserved) is None
    assert reserved == {workers[1]}
    assert acquire(pool, reserved=reserved) is None
    assert held[1] is not None
    held[1].release()
    alone = acquire(pool, exclusive=True)
    assert alone is not None
    assert alone.worker is workers[1]
    assert acquire(pool) is None, "nobody joins"
    alone.release()
    assert acquire(pool) is not None


def test_a_retry_avoids_the_worker_that_died_while_another_one_works() -> None:
    """Its device may break at each job; but there may be no other one."""
    pool, (broken, healthy) = pool_of(1, 1)
    busy = healthy.try_acquire(exclusive=False)
    assert busy is not None
    assert acquire(pool, exclusive=True, avoided=broken) is None, "it waits for the other one"
    busy.release()
    slot = acquire(pool, exclusive=True, avoided=broken)
    assert slot is not None
    assert slot.worker is healthy
    break_down(healthy)
    slot = acquire(pool, exclusive=True, avoided=broken)
    assert slot is not None
    assert slot.worker is broken


def test_a_worker_without_its_model_takes_one_job() -> None:
    """How many it can compute at the same time is known only once the model is loaded."""
    pool, _ = pool_of(0)
    first = acquire(pool)
    assert first is not None
    assert acquire(pool) is None
    first.release()
    assert acquire(pool, exclusive=True) is not None
