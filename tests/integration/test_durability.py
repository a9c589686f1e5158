"""Nothing that was accepted is lost: kills at any moment, restarts, two services on one folder."""

import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.integration.commands import ENVIRONMENT, command
from tests.photos import wish
from tests.service import OBEYS, SUPERVISOR, Service, stream_events, wait_for

CODES = {"worker_died", "worker_crashed"}


def kill(service: Service, *, workers: bool = False) -> None:
    """Kill the supervisor, and perhaps its workers first, as the kernel or an operator does."""
    if workers:
        for process in service.descendants():
            process.kill()
    service.process.kill()
    service.process.wait()
    service.client.close()
    service._close()


class Restarts:
    """Services one after the other on the same folders."""

    def __init__(self, data_dir: Path, folder: Path) -> None:
        self._data_dir, self._folder = data_dir, folder

    def start(self, launcher: tuple[str, ...] = SUPERVISOR, **settings: Any) -> Service:
        """Start the next service."""
        values = {"builtin_worker": OBEYS, "spool_dir": self._folder / "spool", **settings}
        return Service(self._data_dir, self._folder / "temp", values, launcher)

    @contextmanager
    def running(self, **settings: Any) -> Iterator[Service]:
        """Start the next service, and end it after the block."""
        service = self.start(**settings)
        try:
            yield service
        finally:
            service.end()

    def folders(self) -> list[str]:
        """Return the names of the jobs' folders."""
        return sorted(path.name for path in (self._folder / "spool").glob("*/bgremove_*"))


@pytest.fixture
def restarts(data_dir: Path, tmp_path: Path) -> Restarts:
    """Services on folders of their own."""
    return Restarts(data_dir, tmp_path)


def result_bytes(service: Service, task_id: str) -> bytes:
    """Return the bytes of a finished task's result."""
    result = service.client.get(f"/remove/result/{task_id}").json()
    return service.client.get(result["result_url"].removeprefix("/api/v1")).content


def test_an_orderly_restart_goes_on_with_the_queue(restarts: Restarts) -> None:
    """In the same order; the job that ran is no attempt the poorer."""
    service = restarts.start()
    ids = [service.upload(wish(f"sleep {seconds}")) for seconds in ("60", "0", "0.0", "0.00")]
    wait_for(lambda: service.task(ids[0])["message"] == "Sleeping")
    started = time.monotonic()
    assert service.end() == 0
    assert time.monotonic() - started < 5
    for name in ids:
        (folder,) = (service.spool_dir / "1").glob(name)
        source = folder / "source"
        source.write_bytes(source.read_bytes().replace(b"60", b"0.6"))
        assert not list(folder.glob("attempt-*"))
    with restarts.running() as again:
        tasks = [task["task_id"] for task in again.client.get("/tasks").json()]
        assert tasks == ids[::-1]
        assert [again.task(each)["queue_position"] for each in ids[1:]] == [1, 2, 3]
        assert [again.finished(each)["status"] for each in ids] == ["complete"] * 4


def test_a_stream_is_cut_off_by_a_restart_and_can_be_opened_again(restarts: Restarts) -> None:
    """A client that follows sees no end that is none."""
    service = restarts.start()
    task_id = service.upload(wish("sleep 0.3"))
    service.process.send_signal(signal.SIGTERM)
    seen = stream_events(service, task_id) if service.process.poll() is None else []
    assert all(event["status"] in ("queued", "running", "complete") for event in seen)
    service.end()
    with restarts.running() as again:
        assert stream_events(again, task_id)[-1]["status"] == "complete"
        address = f"{again.url}/api/v1/remove/stream/{task_id}"
        with httpx2.stream("GET", address, trust_env=False) as stream:
            ids = [line for line in stream.iter_lines() if line.startswith("id: ")]
        assert ids == ["id: end"]
        ended = httpx2.get(address, headers={"Last-Event-ID": "end"}, trust_env=False)
        assert (ended.status_code, ended.content) == (204, b"")


def test_a_finished_task_is_the_same_after_a_restart(restarts: Restarts) -> None:
    """Result, file ids, name, time of expiry, and the error of one that failed."""
    service = restarts.start()
    good, bad = service.upload(wish("good"), "café.png"), service.upload(wish("fail"))
    before = [service.finished(each) for each in (good, bad)]
    result = service.client.get(f"/remove/result/{good}").json()
    kill(service)
    with restarts.running() as again:
        assert [again.task(each) for each in (good, bad)] == before
        assert again.client.get(f"/remove/result/{good}").json() == result
        answer = again.client.get(result["result_url"].removeprefix("/api/v1"))
        assert answer.content == wish("good")
        assert "caf%C3%A9-cutout.png" in answer.headers["content-disposition"]
        refused = again.client.get(f"/remove/result/{bad}")
        assert (refused.status_code, refused.json()["code"]) == (422, "damaged_image")


def test_a_deleted_result_stays_deleted(restarts: Restarts) -> None:
    """Its owner asked for it: result and files are gone, as they were before the restart."""
    service = restarts.start()
    task_id = service.upload(wish())
    service.finished(task_id)
    result = service.client.get(f"/remove/result/{task_id}").json()
    assert service.client.delete(f"/remove/result/{task_id}").status_code == 204
    kill(service)
    with restarts.running() as again:
        assert again.task(task_id)["status"] == "complete"
        files = [f"/files/{result[name]}" for name in ("original_file_id", "result_file_id")]
        paths = [f"/remove/result/{task_id}", *files]
        assert [again.client.get(path).json()["code"] for path in paths] == ["expired"] * 3


def test_a_cancelled_task_stays_cancelled(restarts: Restarts) -> None:
    """It must not run after all."""
    service = restarts.start()
    task_id = service.upload(wish("sleep 60"))
    service.client.delete(f"/tasks/{task_id}")
    kill(service)
    with restarts.running() as again:
        assert again.task(task_id)["code"] == "cancelled"


def test_results_expire_across_restarts_and_leave_nothing(restarts: Restarts) -> None:
    """The time counts while the service is down too; an old id is gone, a made-up one was never there."""
    service = restarts.start(retention_s=2, cleanup_interval_s=0.1)
    task_id = service.upload(wish())
    service.finished(task_id)
    file_id = service.client.get(f"/remove/result/{task_id}").json()["result_file_id"]
    kill(service)
    time.sleep(2.1)
    with restarts.running(retention_s=2) as again:
        assert restarts.folders() == []
        paths = (f"/tasks/{task_id}", f"/remove/result/{task_id}", f"/files/{file_id}")
        assert [again.client.get(path).json()["code"] for path in paths] == ["expired"] * 3
        unknown = f"{time.time_ns() // 1_000_000:012x}" + "0" * 20
        for path in (f"/tasks/bgremove_{unknown}", f"/files/{unknown}", "/tasks/x", "/files/0"):
            assert again.client.get(path).json()["code"] == "not_found"


def test_a_photo_that_ends_the_worker_is_given_up_after_two_attempts(restarts: Restarts) -> None:
    """Also when the supervisor dies with it each time: else it would be tried at every start, forever."""
    service = restarts.start()
    task_id = service.upload(wish("sleep 60"))
    for _ in range(2):
        wait_for(lambda: service.task(task_id)["message"] == "Sleeping")  # noqa: B023
        kill(service, workers=True)
        service = restarts.start()
    assert service.finished(task_id)["code"] == "worker_died"
    kill(service)
    with restarts.running() as again:
        assert again.task(task_id)["code"] == "worker_died"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_between_any_two_steps_loses_nothing(restarts: Restarts, moment: str) -> None:
    """Whatever is on the disk then: an answered id completes, an unanswered upload leaves nothing."""
    number = 0
    while True:
        number += 1
        path = Path(__file__).with_name("killed_at_step.py")
        service = restarts.start(
            (sys.executable, "-m", f"tests.integration.{path.stem}", str(number), moment)
        )
        task_id = None
        try:
            task_id = service.upload(wish(str(number)))
            service.finished(task_id)
        except httpx2.TransportError:
            service.process.wait(5)
        survived = service.process.poll() is None
        kill(service)
        with restarts.running() as again:
            if task_id is not None:
                assert again.finished(task_id)["status"] == "complete"
                assert result_bytes(again, task_id) == wish(str(number))
            for each in again.client.get("/tasks").json():
                again.finished(each["task_id"])
        if survived:
            break
    assert number > 6, "there are more steps than that"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifty_kills_at_random_moments_lose_nothing(restarts: Restarts) -> None:
    """Every id that was answered ends complete, with the right photo, or with a code; none ends twice."""
    chance = random.Random(19)
    photos: dict[str, bytes] = {}
    service = restarts.start(queue_limit=1000)
    for round_number in range(50):
        deadline = time.monotonic() + chance.uniform(0, 0.5)
        for number in range(6):
            time.sleep(chance.uniform(0, 0.04))
            photo = wish(f"sleep {chance.choice(('0.00', '0.02', '0.1'))}{round_number:03}{number}")
            photos[service.upload(photo)] = photo
        time.sleep(max(0, deadline - time.monotonic()))
        kill(service, workers=round_number % 3 == 0)
        if round_number % 10 == 0:  # again, during the recovery
            process = subprocess.Popen(SUPERVISOR, env=service.environment, stdout=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.2, 0.5))
            process.kill()
            process.wait()
        service = restarts.start(queue_limit=1000)
    for task_id, photo in photos.items():
        task = service.finished(task_id)
        if task["status"] == "complete":
            assert result_bytes(service, task_id) == photo
        else:
            assert task["code"] in CODES, task
    assert len(photos) == 300
    assert service.log.count("removal failed") < 30
    service.end()


def test_two_services_share_a_spool_folder(restarts: Restarts, tmp_path: Path) -> None:
    """The second takes a folder of its own; what a crash leaves there is adopted by the next start."""
    one, two = restarts.start(), restarts.start()
    assert "spool folder in use by another service" in two.log
    task_id = two.upload(wish("sleep 60"))
    wait_for(lambda: two.task(task_id)["message"] == "Sleeping")
    source = next((tmp_path / "spool" / "2").glob("*/source"))
    kill(two)
    source.write_bytes(wish("adopted"))
    kill(one)
    with restarts.running() as again:
        assert again.finished(task_id)["status"] == "complete"
        assert result_bytes(again, task_id) == wish("adopted")
        assert not list((tmp_path / "spool" / "2").glob("bgremove_*"))


def test_a_spool_of_another_format_is_moved_aside(restarts: Restarts, tmp_path: Path) -> None:
    """Not deleted: an older version may still read it."""
    service = restarts.start()
    task_id = service.upload(wish())
    service.finished(task_id)
    kill(service)
    record = tmp_path / "spool" / "1" / task_id / "job.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "format": 999}))
    with restarts.running() as again:
        assert again.client.get(f"/tasks/{task_id}").status_code == 404
        assert "job of another version moved aside" in again.log
        assert (tmp_path / "spool" / "1" / "unreadable" / task_id / "source").read_bytes() == wish()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no folder with an open file")
def test_a_spool_folder_that_is_deleted_is_made_again(restarts: Restarts, tmp_path: Path) -> None:
    """By an operator who makes space: what was in it is lost, and what comes after it is kept."""
    large = wish("x" * 2_000_000)  # is written to the spool folder while it is received
    with restarts.running() as service:
        ended, runs, waits = (service.upload(wish(text)) for text in ("", "sleep 1", "waits"))
        service.finished(ended)
        result = service.client.get(f"/remove/result/{ended}").json()
        wait_for(lambda: service.task(runs)["message"] == "Sleeping")
        shutil.rmtree(tmp_path / "spool")
        assert service.cut(large) == large
        assert service.client.get(result["result_url"].removeprefix("/api/v1")).status_code == 410
        assert service.client.delete(f"/remove/result/{ended}").status_code == 204
        for task_id in (runs, waits):
            assert service.finished(task_id)["code"] == "storage_failed"
        shutil.rmtree(tmp_path / "spool")
        kept = service.upload(wish("kept"))
        service.finished(kept)
        assert "deleted spool folder made again, without its jobs" in service.log
        assert "\nTraceback" not in service.log
        with restarts.running() as second:
            assert second.upload(wish())
            assert list(second.spool_dir.glob("2/bgremove_*"))
    with restarts.running() as again:
        assert result_bytes(again, kept) == wish("kept")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_other_users_cannot_read_the_spool(restarts: Restarts, tmp_path: Path) -> None:
    """Photos are private."""
    with restarts.running() as service:
        task_id = service.upload(wish())
        service.finished(task_id)
        folders = [tmp_path / "spool", tmp_path / "spool" / "1", tmp_path / "spool" / "1" / task_id]
        assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3


def test_five_thousand_finished_tasks_are_read_in_two_seconds(restarts: Restarts, tmp_path: Path) -> None:
    """An hour of a busy service; its restart must not be an outage."""
    service = restarts.start()
    task_id = service.upload(wish())
    service.finished(task_id)
    kill(service)
    folder = tmp_path / "spool" / "1"
    texts = {name: (folder / task_id / name).read_text() for name in ("job.json", "end.json")}
    for number in range(5000):
        copy = folder / f"{task_id[:-4]}{number:04x}"
        if copy.name == task_id:
            continue
        copy.mkdir()
        (copy / "result").touch()
        for name, text in texts.items():
            (copy / name).write_text(text.replace(task_id, copy.name))
    durations_s = []
    for _ in range(2):  # the machine may be busy with other tests for a moment
        started = time.monotonic()
        with restarts.running() as again:
            durations_s.append(time.monotonic() - started)
            assert len(again.client.get("/tasks").json()) == 500
    assert min(durations_s) < 2 + 1, "with the start itself"


def test_without_durability_everything_ends_with_the_service(start: Callable[..., Service]) -> None:
    """As private servers of the command line do."""
    service = start(builtin_worker=OBEYS, durable=False)
    task_id = service.upload(wish())
    service.finished(task_id)
    assert not service.spool_dir.exists()
    assert len(list(service.temp_dir.glob(f"run-*/{task_id}"))) == 1


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="Linux")
def test_a_service_that_cannot_write_its_spool_says_so_at_the_start(data_dir: Path, tmp_path: Path) -> None:
    """Both ways out are named."""
    (tmp_path / "file").touch()
    line = [*SUPERVISOR, "--port", "0", "--data-dir", str(data_dir), "--spool-dir", str(tmp_path / "file")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "BGREMOVE_SPOOL_DIR" in done.stderr
    assert "BGREMOVE_DURABLE=false" in done.stderr


def test_a_batch_of_the_command_line_goes_on_after_a_restart(restarts: Restarts, tmp_path: Path) -> None:
    """Its photos are uploaded again, recognised by their keys, and worked on once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "ab":
        (photos / f"{name}.png").write_bytes(wish(f"sleep 3.{ord(name)}"))
    service = restarts.start(port=port)
    line = command("remove", photos, "--server", service.url, "--out-dir", tmp_path / "out", "--jobs", 2)
    with subprocess.Popen(line, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as batch:
        wait_for(lambda: len(service.client.get("/tasks").json()) == 2)
        service.end()
        with restarts.running(port=port) as again:
            _, errors = batch.communicate(timeout=60)
            assert batch.returncode == 0, errors
            assert len(again.client.get("/tasks").json()) == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a-cutout.png", "b-cutout.png"}
