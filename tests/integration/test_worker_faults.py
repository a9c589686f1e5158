"""Whatever happens to the worker, the supervisor keeps serving, says what happened, and loses nothing."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.photos import wish
from tests.service import OBEYS, Service

BEHAVIOURS = "tests.fake_workers.behaviours"


def test_a_photo_that_fails_does_not_end_the_worker(fake: Service) -> None:
    """One bad file must not cost everybody a model load."""
    fake.cut(wish())
    generation = fake.worker()["generation"]
    assert fake.finished(fake.upload(wish("fail")))["code"] == "damaged_image"
    fake.cut(wish())
    assert fake.worker()["generation"] == generation


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_worker_leaves_ctrl_c_to_the_service(fake: Service) -> None:
    """At a terminal it reaches every process: answers that are under way would be lost at the end."""
    fake.cut(wish())
    before = fake.worker()
    os.kill(before["pid"], signal.SIGINT)
    fake.cut(wish())
    assert fake.worker()["generation"] == before["generation"]


def test_a_removal_whose_worker_crashes_once_succeeds_on_a_new_one(fake: Service, tmp_path: Path) -> None:
    """A crash is the service's trouble, not the client's."""
    restarts = fake.worker()["restarts"]
    fake.cut(wish(f"crash-once {tmp_path / 'crashed'}"))
    worker = fake.worker()
    assert worker["restarts"] > restarts
    assert worker["last_exit"]["signal"] == "SIGSEGV"
    assert worker["last_exit"]["reason"] == "worker_crashed"
    assert any("Segmentation fault" in line for line in worker["last_exit"]["stderr"])


def test_a_removal_that_kills_two_workers_fails_and_the_next_one_succeeds(fake: Service) -> None:
    """A poisonous photo must not be tried forever, nor take others down with it."""
    poison, healthy = fake.upload(wish("exit 3")), fake.upload(wish())
    task = fake.finished(poison)
    assert task["code"] == "worker_crashed"
    assert "code 3" in task["message"]
    assert fake.client.get(f"/remove/result/{poison}").status_code == 503
    assert fake.finished(healthy)["status"] == "complete"


def test_a_worker_that_stands_still_is_replaced(start: Callable[..., Service], tmp_path: Path) -> None:
    """A stopped process ignores every polite signal; the deadline must end it all the same."""
    service = start(builtin_worker=OBEYS, job_timeout_s=1)
    service.cut(wish(f"stop-once {tmp_path / 'stopped'}"))
    assert service.worker()["last_exit"]["reason"] == "worker_timeout"


@pytest.mark.parametrize(
    ("worker", "code", "sentence"),
    [
        ("dies_at_import", "worker_start_failed", "No module named"),
        ("never_ready", "worker_timeout", "did not start"),
    ],
)
def test_a_worker_that_never_comes_up_is_told_in_bounded_time(
    start: Callable[..., Service], worker: str, code: str, sentence: str
) -> None:
    """The user must read why, instead of watching a bar that never moves."""
    service = start(builtin_worker=f"{BEHAVIOURS}:{worker}", start_timeout_s=1)
    task_id = service.upload(wish())
    task = service.finished(task_id, timeout_s=20)
    assert task["code"] == code
    assert sentence in task["message"]
    assert service.client.get("/health").status_code == 200


def test_a_flood_of_events_neither_blocks_the_server_nor_outlives_its_worker(fake: Service) -> None:
    """A worker gone mad must not take the supervisor's attention."""
    task_id = fake.upload(wish("flood 30"))
    for _ in range(10):
        assert fake.client.get("/health", timeout=2).status_code == 200
    assert fake.client.delete(f"/tasks/{task_id}").json()["code"] == "cancelled"
    fake.cut(wish())


def test_the_last_words_of_a_worker_are_heard_however_fast_it_dies(start: Callable[..., Service]) -> None:
    """What it died of would be reported as a start that failed, without any reason."""
    service = start(builtin_worker=f"{BEHAVIOURS}:fails_to_load_and_dies")
    for _ in range(8):  # each a race
        load = service.client.post("/remove/load?model=builtin").json()["task_id"]
        assert service.finished(load)["code"] == "out_of_memory"


def test_a_result_counts_though_its_worker_dies_right_after_it(start: Callable[..., Service]) -> None:
    """The photo would be done twice, or be reported as failed though its result is there."""
    service = start(builtin_worker=f"{BEHAVIOURS}:answers_and_dies")
    for _ in range(8):
        service.cut(wish())
