"""The contract of the job queue: bounded, FIFO for one client, round robin between clients."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import QueueFull
from shared.options import RemovalOptions
from supervisor.jobs.job import SOURCE, Job, StoredImage
from supervisor.jobs.queue import JobQueue


def job(name: str, client: str = "one") -> Job:
    """Return a job of a client."""
    return Job(
        id=name,
        options=RemovalOptions(),
        image=StoredImage(SOURCE),
        background=None,
        file_name="photo.png",
        client=client,
        submitted_at=datetime.now(UTC),
    )


def queue_of(*names: str, limit: int = 100) -> JobQueue:
    """Return a queue of jobs, whose names begin with their client's letter."""
    queue = JobQueue(limit)
    for name in names:
        queue.admit(name)
        queue.put(job(name, name[0]))
    return queue


def order(queue: JobQueue) -> list[str]:
    """Return the order of the waiting jobs."""
    return [each.id for each in queue]


def lease_all(queue: JobQueue) -> list[str]:
    """Lease one job after the other, and return their order."""
    names = []
    while first := next(iter(queue), None):
        queue.lease(first)
        names.append(first.id)
    return names


def test_one_clients_jobs_are_first_in_first_out() -> None:
    """A photo that was sent later must not come first."""
    assert lease_all(queue_of("a1", "a2", "a3")) == ["a1", "a2", "a3"]


def test_clients_take_turns() -> None:
    """A client with many photos must not hold up another one's only photo."""
    queue = queue_of("a1", "a2", "a3", "a4", "b1", "c1", "c2")
    assert order(queue) == ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]
    assert lease_all(queue) == ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]


def test_a_client_that_comes_late_is_next_but_one() -> None:
    """Sixty photos of one client that wait must not delay the first photo of another by more than one."""
    queue = queue_of(*(f"a{number}" for number in range(60)))
    for _ in range(7):
        queue.lease(next(iter(queue)))
    queue.admit("b1")
    queue.put(job("b1", "b"))
    assert order(queue)[:3] == ["a7", "b1", "a8"]


def test_the_client_that_was_served_goes_behind_the_others() -> None:
    """One that sends a photo whenever one of its own is done must not be served each time."""
    queue = queue_of("a1", "b1", "b2")
    queue.lease(next(iter(queue)))
    queue.admit("a2")
    queue.put(job("a2", "a"))
    assert order(queue) == ["b1", "a2", "b2"]


def test_a_retry_is_before_all_others() -> None:
    """A job that has waited for its turn once must not wait for it again."""
    queue = queue_of("a1", "a2", "b1")
    first = next(iter(queue))
    queue.lease(first)
    queue.put_first(first)
    assert order(queue) == ["a1", "b1", "a2"]
    queue.lease(first)
    assert order(queue) == ["b1", "a2"]


def test_it_is_bounded_over_all_that_is_admitted() -> None:
    """Waiting, leased or being fetched: each holds files on the disk."""
    queue = queue_of("a1", "a2", limit=3)
    queue.admit("a3")
    queue.lease(next(iter(queue)))
    with pytest.raises(QueueFull, match="3 removals"):
        queue.admit("a4")
    assert len(queue) == 3
    queue.finish("a1")
    queue.admit("a4")


@pytest.mark.parametrize("name", ["a1", "a2", "b1"])
def test_a_job_that_is_cancelled_while_it_waits_leaves_nothing_behind(name: str) -> None:
    """Its place would be taken until the service ends, or a worker would get a job without files."""
    queue = queue_of("a1", "a2", "b1")
    queue.finish(name)
    assert name not in queue
    assert name not in order(queue)
    assert len(queue) == 2


def test_a_cancel_costs_a_client_no_turn() -> None:
    """Who cancels one of its photos must not be put behind the others for it."""
    queue = queue_of("a1", "a2", "b1")
    queue.finish("a1")
    assert order(queue) == ["a2", "b1"]


def test_a_finished_job_may_be_unknown() -> None:
    """A job that is cancelled while it ends is finished twice."""
    queue = queue_of("a1")
    queue.finish("a1")
    queue.finish("a1")
    assert (len(queue), order(queue)) == (0, [])


@given(st.lists(st.sampled_from("abcd"), max_size=40))
def test_nobody_waits_for_more_than_one_job_of_each_other_client(clients: list[str]) -> None:
    """The rule of round robin, for any mixture of clients."""
    queue = queue_of(*(f"{client}{number}" for number, client in enumerate(clients)))
    names = lease_all(queue)
    assert sorted(names) == sorted(f"{client}{number}" for number, client in enumerate(clients))
    for client in set(clients):
        places = [place for place, name in enumerate(names) if name[0] == client]
        assert [int(names[place][1:]) for place in places] == sorted(
            int(names[place][1:]) for place in places
        )
        for before, after in zip([-1, *places], places, strict=False):
            between = [name[0] for name in names[before + 1 : after]]
            assert len(between) == len(set(between))
