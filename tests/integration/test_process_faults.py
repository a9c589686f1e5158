"""Every way a process can die, against real processes: nothing left behind, nothing lost, nobody stuck."""

import random
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.photos import encoded, opened, wish
from tests.service import END_TIMEOUT_S, OBEYS, Service, shape, stream_events, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
SLOW = "tests.fake_workers.behaviours:loads_slowly"
ANSWER_AFTER_DEATH_S = 5


def be_idle(service: Service) -> None:
    """Have a worker that does nothing."""
    service.cut(wish())


def be_loading(service: Service) -> None:
    """Have a worker in the middle of its load."""
    task_id = service.client.post("/remove/load?model=builtin").json()["task_id"]
    wait_for(lambda: service.task(task_id)["percent"] > 0)  # killed earlier, it logs a traceback


def be_removing(service: Service) -> None:
    """Have a worker in the middle of a removal."""
    task_id = service.upload(wish("sleep 60"))
    wait_for(lambda: service.task(task_id)["message"] == "Sleeping")


@pytest.mark.parametrize(
    ("worker", "get_there"),
    [(OBEYS, be_idle), (SLOW, be_loading), (OBEYS, be_removing)],
    ids=["idle", "loading", "in a removal"],
)
def test_nothing_outlives_a_killed_supervisor(
    start: Callable[..., Service], worker: str, get_there: Callable[[Service], None]
) -> None:
    """A worker without its supervisor would hold gigabytes that nobody can free."""
    service = start(builtin_worker=worker)
    get_there(service)
    descendants = service.descendants()
    assert descendants
    service.process.kill()
    service.process.wait()
    assert not psutil.wait_procs(descendants, timeout=END_TIMEOUT_S)[1]


def test_a_lost_device_costs_a_worker_and_no_photo(
    start: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that was reset answers no process that used it before: that one would fail every photo."""
    monkeypatch.setenv("LOST_NOTE", str(tmp_path / "note"))
    service = start(builtin_worker="tests.fake_workers.by_light:serve_losing_the_device")
    assert opened(service.cut(encoded(Image.new("RGB", (30, 20), "white")))).size == (30, 20)
    worker = service.worker()
    assert worker["generation"] == 2
    assert worker["last_exit"]["reason"] == "worker_crashed"
    assert any("unspecified launch failure" in line for line in worker["last_exit"]["stderr"])


@pytest.mark.slow
def test_thirty_deaths_at_random_moments_lose_nothing(fake: Service) -> None:
    """Whenever the worker dies, the client gets its result, and so does the next one."""
    dice = random.Random(5)
    for number in range(30):
        photo = wish(f"photo {number}") if number % 2 else wish(f"sleep {dice.random() * 0.2:.3f}")
        task_id = fake.upload(photo)
        time.sleep(dice.random() * 0.3)
        pid = fake.worker()["pid"]
        if pid is not None:
            psutil.Process(pid).send_signal(dice.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM]))
        assert fake.finished(task_id, timeout_s=ANSWER_AFTER_DEATH_S)["status"] == "complete"
        fake.cut(wish())
    assert fake.worker()["last_exit"]["reason"] == "worker_crashed"


def test_a_worker_that_exits_cleanly_in_the_middle_is_a_death_too(fake: Service) -> None:
    """Exit code 0 is no success when a photo was on the table."""
    task = fake.finished(fake.upload(wish("exit 0")))
    assert task["code"] == "worker_crashed"
    fake.cut(wish())


def test_a_worker_killed_in_a_flood_leaves_no_thread_blocked(fake: Service) -> None:
    """A reader stuck on a dead worker's queue would be lost forever."""
    with ThreadPoolExecutor(12) as pool:  # so that the supervisor's own pool of threads is complete
        list(pool.map(lambda _: fake.cut(wish("x" * 500_000)), range(36)))
    threads = psutil.Process(fake.process.pid).num_threads()
    for _ in range(3):
        task_id = fake.upload(wish("flood 30"))
        wait_for(lambda task_id=task_id: "flooding" in fake.task(task_id)["message"])  # type: ignore[misc]
        psutil.Process(fake.worker()["pid"]).kill()
        time.sleep(0.2)
        fake.client.delete(f"/tasks/{task_id}")
        fake.cut(wish())
    wait_for(lambda: psutil.Process(fake.process.pid).num_threads() <= threads + 1)


def test_a_hundred_calls_at_once_end_well(start: Callable[..., Service]) -> None:
    """Impatient users press everything: no deadlock, one worker at the most, every photo answered."""
    service = start(builtin_worker=OBEYS)
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            workers = [child for child in service.descendants() if "spawn_main" in " ".join(_command(child))]
            most[0] = max(most[0], len(workers))
            time.sleep(0.01)

    def call(number: int) -> object:
        match number % 4:
            case 0:
                return service.client.post("/remove/load?model=builtin").status_code
            case 1:
                return service.client.post("/remove/unload").status_code
            case 2:
                return service.client.post("/worker/restart").status_code
            case _:
                return service.finished(service.upload(wish(f"photo {number}")))["status"]

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(call, range(100)))
    done.set()
    watcher.join()
    assert set(outcomes) == {200, "complete"}
    assert most[0] <= 1
    service.cut(wish())


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.slow
def test_a_hundred_lives_of_a_worker_leave_no_trace(fake: Service) -> None:
    """Restarting the worker is this design's answer to everything, so it must cost nothing for good."""

    def live(count: int) -> None:
        for number in range(count):
            answer = fake.client.post(f"{fake.url}/api/remove", files={"file": wish()})
            assert answer.content == wish()
            if number % 3:
                fake.client.post("/remove/unload")
            elif pid := fake.worker()["pid"]:
                psutil.Process(pid).kill()

    live(20)
    fake.client.post("/remove/unload")
    before, before_bytes = shape(fake), psutil.Process(fake.process.pid).memory_info().rss
    live(80)
    fake.client.post("/remove/unload")
    after, after_bytes = shape(fake), psutil.Process(fake.process.pid).memory_info().rss
    assert all(now <= then + 2 for now, then in zip(after, before, strict=True)), (before, after)
    assert after_bytes - before_bytes < 4 * 1024**2  # 50 kB per life
    zombies = [child for child in fake.descendants() if child.status() == psutil.STATUS_ZOMBIE]
    assert not zombies


def test_a_stop_with_streams_open_ends_them_with_a_last_event(start: Callable[..., Service]) -> None:
    """Pages that follow a removal must learn of its end, and must not hold the server up."""
    service = start(builtin_worker=OBEYS)
    task_id = service.upload(wish("sleep 60"))
    wait_for(lambda: service.task(task_id)["message"] == "Sleeping")
    with ThreadPoolExecutor(10) as pool:
        streams = [pool.submit(stream_events, service, task_id) for _ in range(10)]
        time.sleep(1)
        service.process.send_signal(signal.SIGTERM)
        assert service.wait() == 0
        for stream in streams:
            last = stream.result()[-1]
            assert last["status"] in ("queued", "running"), "the next service goes on with it"


def test_a_full_disk_is_told_and_recovered_from(start: Callable[..., Service]) -> None:
    """The photo is refused with the reason, and the next one works once there is room."""
    service = start(builtin_worker=OBEYS)
    _, hard = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (1_000_000, hard))
    answer = service.client.post("/remove/upload", files={"file": ("p.png", wish("x" * 2_000_000))})
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_failed")
    assert not list(service.temp_dir.rglob("source"))
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    service.cut(wish("x" * 2_000_000))


def test_the_temp_folder_may_vanish(start: Callable[..., Service]) -> None:
    """Systems clean their temporary folders; the service must make its own again."""
    service = start(builtin_worker=OBEYS)
    task_id = service.upload(wish())
    service.finished(task_id)
    result = service.client.get(f"/remove/result/{task_id}").json()
    shutil.rmtree(service.temp_dir)
    assert service.client.get(result["result_url"].removeprefix("/api/v1")).status_code == 410
    service.cut(wish())
    service.client.post("/remove/unload")
    shutil.rmtree(service.temp_dir)
    service.cut(wish())


def test_two_supervisors_do_not_touch_each_other(start: Callable[..., Service], tmp_path: Path) -> None:
    """Two applications on one machine may both manage a service of their own."""
    shared = tmp_path / "shared"
    one, two = (start(builtin_worker=OBEYS, temp_dir=shared) for _ in range(2))
    one.cut(wish())
    task_id = two.upload(wish("two"))
    two.finished(task_id)
    pid = two.worker()["pid"]
    one.end()
    assert two.worker()["pid"] == pid
    result = two.client.get(f"/remove/result/{task_id}").json()
    assert two.client.get(result["result_url"].removeprefix("/api/v1")).content == wish("two")


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_the_clean_up_survives_a_want_of_descriptors(start: Callable[..., Service]) -> None:
    """After one bad moment, photos would be kept forever, and nobody would know."""
    service = start(builtin_worker=OBEYS, retention_s=0.1, cleanup_interval_s=0.1)
    process = psutil.Process(service.process.pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (3, before[1]))  # none is free, whatever is open
    wait_for(lambda: "clean-up failed" in service.log)
    process.rlimit(psutil.RLIMIT_NOFILE, before)
    service.upload(wish())
    wait_for(lambda: not list(service.temp_dir.rglob("source")))
