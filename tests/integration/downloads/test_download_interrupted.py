"""Downloads on the bad days of hubs and networks, and for users who change their minds."""

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.downloading import check_complete, download, downloaded, downloader, held_at, model, state
from tests.hub import REPO_ID, WEIGHTS, Fault, Hub
from tests.service import END_TIMEOUT_S, Service, running, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")
CANCEL_S = 2
IMPATIENT_S = 1  # how long a silent connection is waited for
SENTENCES = {
    "download_denied": "HF_TOKEN",
    "model_not_found": REPO_ID,
    "model_unusable": "*.safetensors",
    "download_failed": "hub",
}


def test_a_killed_download_goes_on_where_it_was(cloud: Service, hub: Hub, data: Path) -> None:
    """What came over a slow line is not thrown away."""
    task_id = held_at(cloud, hub, data, 400_000)
    downloader(cloud).kill()
    task = cloud.finished(task_id)
    assert (task["status"], task["code"]) == ("error", "download_failed")
    assert "SIGKILL" in task["message"]
    assert state(cloud) == (False, False, task["message"])
    assert downloaded(cloud)["status"] == "complete"
    assert hub.starts == [0, 400_000]
    check_complete(cloud, data, hub)


def test_a_cancelled_download_ends_at_once_and_can_go_on(cloud: Service, hub: Hub, data: Path) -> None:
    """The user needs the line for a call; afterwards the rest is enough."""
    task_id = held_at(cloud, hub, data, 300_000)
    process = downloader(cloud)
    begin = time.monotonic()
    answer = cloud.client.delete(f"/tasks/{task_id}").json()
    assert time.monotonic() - begin < CANCEL_S
    assert (answer["status"], answer["code"]) == ("error", "cancelled")
    assert not process.is_running()
    assert state(cloud) == (False, False, None)
    assert downloaded(cloud)["status"] == "complete"
    assert hub.starts == [0, 300_000]
    check_complete(cloud, data, hub)


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_broken_connection_is_taken_up_again(cloud: Service, hub: Hub, data: Path, kind: str) -> None:
    """Trains have tunnels."""
    hub.faults = [Fault(kind, 600_000)]
    assert downloaded(cloud)["status"] == "complete"
    assert len(hub.starts) == 2
    assert 0 < hub.starts[1] <= 600_000
    check_complete(cloud, data, hub)


def test_a_silent_connection_is_given_up_and_taken_up_again(
    cloud: Service, hub: Hub, data: Path, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Some connections die without a word, and would be waited on forever."""
    assert cloud
    hub.faults = [Fault("stall", 600_000)]
    with environment.context() as patch:
        patch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", str(IMPATIENT_S))
        with running(data, tmp_path / "temp") as service:
            task = downloaded(service)
    assert task["status"] == "complete"
    assert any("timed out. Trying again" in line for line in task["logs"])
    assert hub.starts[:2] == [0, 600_000]
    check_complete(cloud, data, hub)


def test_a_hub_that_is_busy_is_asked_again(cloud: Service, hub: Hub, data: Path) -> None:
    """One bad answer is no reason to send the user away, at the listing or at a file."""
    hub.api_statuses = [503]
    hub.faults = [Fault("status", status=502)]
    task = downloaded(cloud)
    assert task["status"] == "complete"
    assert any("answered 503. Trying again" in line for line in task["logs"])
    check_complete(cloud, data, hub)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ((401, {"X-Error-Code": "GatedRepo"}), "download_denied"),
        ((401, {"X-Error-Code": "RepoNotFound"}), "download_denied"),
        ((404, {"X-Error-Code": "RevisionNotFound"}), "model_not_found"),
    ],
)
def test_a_refusal_says_what_to_do(
    cloud: Service, hub: Hub, refusal: tuple[int, dict[str, str]], code: str
) -> None:
    """A token, another name, or waiting: each is another errand."""
    hub.refusal = refusal
    task = downloaded(cloud)
    assert (task["status"], task["code"]) == ("error", code)
    assert SENTENCES[code] in task["message"]
    assert "\n" not in task["message"]
    assert state(cloud) == (False, False, task["message"])
    assert len(hub.paths) == 1


def test_weights_of_another_kind_and_hotels_are_told_apart(cloud: Service, hub: Hub) -> None:
    """Pickled weights could run code; a login page is no hub."""
    del hub.files[WEIGHTS]
    assert downloaded(cloud)["code"] == "model_unusable"
    hub.login_page = True
    task = downloaded(cloud)
    assert (task["code"], "HF_ENDPOINT" in task["message"]) == ("download_failed", True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_no_download_outlives_the_service(
    cloud: Service, hub: Hub, data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Nobody would see, or stop, what it fills the disk with."""
    assert cloud
    with running(data, tmp_path / "temp") as service:
        held_at(service, hub, data, 200_000)
        process = downloader(service)
        service.process.send_signal(number)
        service.wait()
        assert not psutil.wait_procs([process], timeout=END_TIMEOUT_S)[1]


def test_many_calls_at_once_are_answered_alike(cloud: Service, hub: Hub, data: Path) -> None:
    """Start, cancel and look, all together: no call fails, and the next download is whole."""

    def call(number: int) -> int:
        match number % 3:
            case 0:
                return cloud.client.post("/remove/download").status_code
            case 1:
                task_id = download(cloud)
                return cloud.client.delete(f"/tasks/{task_id}").status_code if task_id else 200
        return cloud.client.get("/status").status_code

    with ThreadPoolExecutor(12) as pool:
        codes = set(pool.map(call, range(15)))
    assert codes <= {200, 409}  # 409: it had ended already
    wait_for(lambda: not model(cloud)["model_downloading"])
    task_id = download(cloud)
    assert task_id is None or cloud.finished(task_id)["status"] == "complete"
    check_complete(cloud, data, hub)
