"""Load, unload, restart, idleness: the user's third row, for whatever model the worker holds."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.photos import wish
from tests.service import OBEYS, Service, running, stream_events, wait_for

QUICK_BACKOFF = (sys.executable, "-m", "tests.integration.quick_backoff_supervisor")
SLOW = "tests.fake_workers.behaviours:loads_slowly"


@pytest.fixture(scope="module")
def one_slow(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service whose worker takes a while to load."""
    with running(data_dir, tmp_path_factory.mktemp("slow") / "temp", builtin_worker=SLOW) as service:
        yield service


@pytest.fixture
def slow(one_slow: Service) -> Service:
    """The service whose worker takes a while to load, without one."""
    one_slow.client.post("/remove/unload")
    return one_slow


def load(service: Service) -> str | None:
    """Ask for a load and return its task's id."""
    task_id: str | None = service.client.post("/remove/load?model=builtin").json()["task_id"]
    return task_id


def refuse(service: Service) -> None:
    """Check that removals are refused at the door, and that the service says that they would be."""
    answer = service.client.post("/remove/upload", files={"file": ("x.png", wish())})
    assert (answer.status_code, answer.json()["code"]) == (503, "worker_start_failed")
    ready = service.client.get("/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
    assert "crashed repeatedly" in ready.json()["detail"]


def test_unload_answers_when_the_process_is_gone_and_tells_what_came_back(fake: Service) -> None:
    """The user unloads to get memory back, and sees how much."""
    fake.client.post("/remove/unload")
    assert fake.client.post("/remove/unload").json() == {
        "unloaded": False,
        "freed_bytes": None,
        "queued": 0,
        "cancelled": 0,
    }
    fake.cut(wish())
    pid = fake.worker()["pid"]
    answer = fake.client.post("/remove/unload").json()
    assert not psutil.pid_exists(pid)
    assert answer["unloaded"] is True
    assert answer["freed_bytes"] > 1_000_000
    worker = fake.worker()
    assert (worker["state"], worker["pid"]) == ("stopped", None)
    assert worker["last_exit"]["reason"] == "requested"
    fake.cut(wish())


def test_a_load_reports_real_progress_and_is_done_once(start: Callable[..., Service]) -> None:
    """Two clicks on Load must not load twice; a third, later, has nothing to do."""
    service = start(builtin_worker=SLOW)
    first = load(service)
    assert first is not None
    assert first.startswith("bgload_")
    assert load(service) == first
    *seen, last = stream_events(service, first)
    percents = [event["percent"] for event in seen if event["message"] == "Loading the model"]
    assert len(set(percents)) >= 4, "the worker reports twenty steps in two seconds"
    assert percents == sorted(percents)
    assert percents[0] < 50 < percents[-1] < 100
    assert (last["percent"], last["message"]) == (100, "Model loaded")
    assert load(service) is None
    assert service.worker()["generation"] == 1


def test_a_removal_that_has_to_load_the_model_shows_the_load_as_its_first_steps(slow: Service) -> None:
    """A bar that the load fills would stand at 100 % while the photo is still processed."""
    events = stream_events(slow, slow.upload(wish("sleep 0.5")))
    loading = [event["percent"] for event in events if event["message"] == "Loading the model"]
    assert 2 < max(loading) <= 5
    assert {event["percent"] for event in events if event["message"] == "Sleeping"} == {45}
    assert events[-1]["percent"] == 100


def test_a_load_can_be_cancelled_and_tried_again(slow: Service) -> None:
    """A user who changes their mind gets the memory back at once."""
    task_id = load(slow)
    wait_for(lambda: slow.worker()["state"] == "starting")
    assert slow.client.delete(f"/tasks/{task_id}").json()["code"] == "cancelled"
    assert slow.worker()["state"] == "stopped"
    again = load(slow)
    assert again is not None
    assert slow.finished(again)["status"] == "complete"


def test_an_unload_during_a_load_cancels_it(slow: Service) -> None:
    """The user has changed their mind; nothing has gone wrong, and nothing may say so."""
    task_id = load(slow)
    assert task_id is not None
    wait_for(lambda: slow.worker()["state"] == "starting")
    assert slow.client.post("/remove/unload").json()["unloaded"] is True
    assert slow.finished(task_id)["code"] == "cancelled"
    assert slow.worker()["state"] == "stopped"


def test_an_unload_right_after_a_load_is_heard(slow: Service) -> None:
    """There is no process yet to kill, and the model must not come in all the same."""
    for _ in range(3):
        task_id = load(slow)
        assert task_id is not None
        assert slow.client.post("/remove/unload").json()["unloaded"] is True
        assert slow.finished(task_id)["code"] == "cancelled"
        assert slow.worker()["state"] == "stopped"


def test_a_restart_ends_a_load_that_hangs(start: Callable[..., Service]) -> None:
    """It is what the operator reaches for; a second click is the same restart."""
    service = start(builtin_worker="tests.fake_workers.behaviours:never_ready")
    hanging = load(service)
    assert hanging is not None
    pid = wait_for(lambda: service.worker()["pid"])
    restart = service.client.post("/worker/restart").json()["task_id"]
    assert restart != hanging
    assert service.finished(hanging)["code"] == "cancelled"
    assert wait_for(lambda: service.worker()["pid"] not in (None, pid))
    assert service.client.post("/worker/restart").json()["task_id"] == restart
    service.client.post("/remove/unload")


def test_two_clicks_on_cancel_free_a_worker_that_does_not_listen(fake: Service) -> None:
    """The second click must not save the worker that the first one is about to have killed."""
    task_id = fake.upload(wish("sleep 60"))
    wait_for(lambda: fake.task(task_id)["message"] == "Sleeping")

    def cancel(after_s: float) -> int:
        time.sleep(after_s)
        return fake.client.delete(f"/tasks/{task_id}").status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(cancel, (0, 0.5))) == [200, 200]
    assert fake.finished(fake.upload(wish()), timeout_s=20)["status"] == "complete"


def test_a_restart_loses_no_removal(fake: Service) -> None:
    """After an install the operator restarts the worker in the middle of the day."""
    tasks = [fake.upload(wish("sleep 1")), fake.upload(wish())]
    wait_for(lambda: fake.task(tasks[0])["message"] == "Sleeping")
    before = fake.worker()["pid"]
    restart = fake.client.post("/worker/restart").json()["task_id"]
    assert fake.finished(restart)["status"] == "complete"
    assert [fake.finished(task_id)["status"] for task_id in tasks] == ["complete", "complete"]
    assert fake.worker()["pid"] != before
    assert not psutil.pid_exists(before)


def test_an_idle_worker_ends_and_the_next_photo_starts_one(start: Callable[..., Service]) -> None:
    """Memory goes back to the user's other programs while nobody cuts photos out."""
    service = start(builtin_worker=OBEYS, keep_alive_s=0.5)
    service.cut(wish())
    wait_for(lambda: service.worker()["state"] == "stopped")
    assert "idle" in service.worker()["last_exit"]["detail"]
    service.cut(wish("sleep 1"))  # longer than the idle time: work is not idleness
    assert service.worker()["restarts"] == 1


def test_a_worker_that_keeps_dying_is_left_alone_until_somebody_asks(start: Callable[..., Service]) -> None:
    """A machine must not be busy forever starting what cannot start; the user must read why."""
    service = start(command=QUICK_BACKOFF, builtin_worker="tests.fake_workers.behaviours:dies_in_load")
    codes = [service.finished(service.upload(wish()))["code"] for _ in range(3)]
    assert set(codes) == {"worker_start_failed"}
    worker = service.worker()
    assert worker["generation"] == 5
    assert "crashed repeatedly" in worker["problem"]
    assert "Retry in a few minutes, or POST" in worker["problem"]
    begin = time.monotonic()
    refuse(service)
    assert time.monotonic() - begin < 2
    assert service.worker()["generation"] == 5
    task_id = load(service)
    assert task_id is not None
    task = service.finished(task_id)
    assert (task["code"], service.worker()["generation"]) == ("worker_start_failed", 6)
    assert "SIGSEGV" in task["message"]
    assert service.worker()["problem"] is None


def test_images_that_kill_their_workers_keep_nobody_elses_out(start: Callable[..., Service]) -> None:
    """Their deaths are their own, so the circuit stays closed."""
    service = start(command=QUICK_BACKOFF, builtin_worker=OBEYS)
    for _ in range(3):
        task_id = service.upload(wish("exit 1"))
        assert service.finished(task_id, timeout_s=40)["code"] == "worker_crashed"
    assert service.worker()["generation"] == 6
    assert service.worker()["problem"] is None
    assert load(service) is not None  # which ends the back-off
    service.cut(wish())


def test_a_late_answer_never_reaches_another_task(start: Callable[..., Service]) -> None:
    """One user's result must never be sent to another."""
    service = start(builtin_worker="tests.fake_workers.behaviours:answers_late")
    abandoned = service.upload(wish("late"))
    wait_for(lambda: service.task(abandoned)["status"] == "running" or service.worker()["state"] == "busy")
    service.client.delete(f"/tasks/{abandoned}")
    photo = wish("the next photo")
    assert service.cut(photo) == photo
    assert service.task(abandoned)["code"] == "cancelled"
    assert service.worker()["generation"] == 1


def test_a_model_can_be_loaded_from_the_start(start: Callable[..., Service]) -> None:
    """The first photo of the day need not wait for the load."""
    service = start(builtin_worker=OBEYS, preload=True)
    wait_for(lambda: service.worker()["state"] == "ready")
    assert service.client.get("/tasks").json()[0]["task_id"].startswith("bgload_")
