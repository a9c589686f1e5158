"""How long to wait for a worker that keeps dying, and when to give up."""

from supervisor.workers.restart_policy import (
    BACKOFF_S,
    CIRCUIT_DEATHS,
    CIRCUIT_WINDOW_S,
    SPAWN_RETRY_S,
    RestartPolicy,
)


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_restart_is_at_once_and_later_ones_wait_longer_and_longer() -> None:
    """One crash must not be felt; a crash loop must not heat the machine."""
    clock = Clock()
    policy = RestartPolicy(clock)
    waits = []
    for _ in range(CIRCUIT_DEATHS):
        policy.record_load_death()
        waits.append(policy.wait_s)
    assert waits == list(BACKOFF_S)
    clock.now_s += 4
    assert policy.wait_s == BACKOFF_S[-1] - 4


def test_five_deaths_in_five_minutes_open_the_circuit() -> None:
    """And only then."""
    clock = Clock()
    policy = RestartPolicy(clock)
    for _ in range(CIRCUIT_DEATHS):
        assert not policy.circuit_open
        policy.record_load_death()
    assert policy.circuit_open
    clock.now_s += CIRCUIT_WINDOW_S
    assert not policy.circuit_open


def test_a_job_that_kills_two_workers_never_opens_the_circuit() -> None:
    """Four large images in a small container refused everybody's for five minutes."""
    policy = RestartPolicy(Clock())
    for _ in range(2 * CIRCUIT_DEATHS):
        policy.record_job_death(alone=False)
        assert policy.wait_s in BACKOFF_S
        policy.record_job_death(alone=True)  # the first of two that died together
        policy.record_job_death(alone=True)  # the second
    assert policy.wait_s == BACKOFF_S[-1]
    assert not policy.circuit_open


def test_deaths_in_jobs_and_in_loads_add_up() -> None:
    """A worker may die at any moment for a reason of the machine's."""
    policy = RestartPolicy(Clock())
    for _ in range(CIRCUIT_DEATHS - 1):
        policy.record_job_death(alone=False)
    policy.record_load_death()
    assert policy.circuit_open
    policy.record_job_death(alone=True)
    assert not policy.circuit_open


def test_deaths_over_hours_do_not_open_the_circuit() -> None:
    """A night with a death every two minutes is bad, but every photo is done; and a loop ends after five."""
    clock = Clock()
    policy = RestartPolicy(clock)
    for _ in range(100):
        policy.record_load_death()
        assert not policy.circuit_open
        clock.now_s += CIRCUIT_WINDOW_S / (CIRCUIT_DEATHS - 1)
        assert policy.wait_s == 0
    for _ in range(CIRCUIT_DEATHS):
        policy.record_load_death()
    assert policy.circuit_open


def test_the_window_of_the_circuit_begins_with_the_first_of_its_deaths() -> None:
    """Five minutes after it the next start is tried, and waits no longer than its back-off."""
    clock = Clock()
    policy = RestartPolicy(clock)
    for _ in range(CIRCUIT_DEATHS):
        policy.record_load_death()
        clock.now_s += 60
    assert policy.circuit_open is False  # 300 s after the first
    clock.now_s -= 1
    assert policy.circuit_open
    assert policy.wait_s == 0


def test_a_success_or_a_request_forgets_the_deaths() -> None:
    """Rare crashes between many good results are not a loop."""
    policy = RestartPolicy(Clock())
    for _ in range(CIRCUIT_DEATHS):
        policy.record_load_death()
    policy.reset()
    assert not policy.circuit_open
    assert policy.wait_s == 0


def test_a_spawn_failure_is_waited_out_and_never_opens_the_circuit() -> None:
    """Eight seconds without descriptors would refuse every photo for five minutes."""
    clock = Clock()
    policy = RestartPolicy(clock)
    for _ in range(CIRCUIT_DEATHS + 1):
        policy.record_spawn_failure()
        assert policy.wait_s == SPAWN_RETRY_S
    assert not policy.circuit_open
    clock.now_s += SPAWN_RETRY_S / 4
    assert policy.wait_s == SPAWN_RETRY_S * 3 / 4
    clock.now_s += SPAWN_RETRY_S
    assert policy.wait_s == 0
