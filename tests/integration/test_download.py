"""Downloads over real HTTP, from a hub that does what hubs and networks do on bad days."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.hub import COMMIT, REPO_ID, WEIGHTS, Fault, Hub, running_hub
from tests.service import END_TIMEOUT_S, Service, running, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")
CANCEL_S = 2
PATIENT_S, IMPATIENT_S = 60, 1  # how long a silent connection is waited for
SENTENCES = {
    "download_denied": "HF_TOKEN",
    "model_not_found": REPO_ID,
    "model_unusable": "*.safetensors",
    "download_failed": "hub",
}


@pytest.fixture(scope="module")
def one_hub() -> Iterator[Hub]:
    """One hub, and an environment that leads to it and nowhere else."""
    with running_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def environment(one_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """What users set around the service; nothing of the machine's own hub settings gets in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("HF_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("HF_ENDPOINT", one_hub.url)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("HF_TOKEN", "hf_secret")
        patch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", str(PATIENT_S))
        yield patch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the service that most tests share."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def shared(
    environment: pytest.MonkeyPatch, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One service for the tests that leave it as it was."""
    assert environment
    with running(data, tmp_path_factory.mktemp("downloads") / "temp") as service:
        yield service


@pytest.fixture
def hub(one_hub: Hub) -> Hub:
    """The hub, as new."""
    one_hub.reset()
    return one_hub


@pytest.fixture
def cloud(hub: Hub, shared: Service, data: Path) -> Iterator[Service]:
    """A service without a model, beside a hub that is as new; idle again after the test."""
    shutil.rmtree(data / "models", ignore_errors=True)
    yield shared
    hub.released.set()
    wait_for(lambda: not model(shared)["model_downloading"])


def download(service: Service) -> str | None:
    """Ask for a download and return its task's id."""
    answer = service.client.post("/remove/download")
    assert answer.status_code == 200, answer.text
    task_id: str | None = answer.json()["task_id"]
    return task_id


def downloaded(service: Service) -> dict[str, Any]:
    """Download and return how that ended."""
    task_id = download(service)
    assert task_id is not None
    return service.finished(task_id)


def model(service: Service) -> dict[str, Any]:
    """Return the model's part of the status."""
    told: dict[str, Any] = service.client.get("/status").json()["models"]["background_removal"]
    return told


def state(service: Service) -> tuple[bool, bool, str | None]:
    """Return what the status says of downloads."""
    told = model(service)
    return told["model_downloaded"], told["model_downloading"], told["model_download_error"]


def cache(data: Path) -> Path:
    """Return the repository's folder in a data folder."""
    return data / "models" / "birefnet" / "models--ZhengPeng7--BiRefNet"


def blob(data: Path, hub: Hub) -> Path:
    """Return where the weights' bytes lie."""
    return cache(data) / "blobs" / hub.etag(WEIGHTS)


def partial(data: Path, hub: Hub) -> Path:
    """Return where the weights' bytes are gathered."""
    return cache(data) / "blobs" / f"{hub.etag(WEIGHTS)}.incomplete"


def held_at(service: Service, hub: Hub, data: Path, count: int) -> str:
    """Start a download that stands still after so many bytes, and return its task's id."""
    hub.faults = [Fault("stall", count)]
    task_id = download(service)
    assert task_id is not None
    path = partial(data, hub)
    wait_for(lambda: path.exists() and path.stat().st_size == count)
    assert model(service)["task_id"] == task_id
    return task_id


def downloader(service: Service) -> psutil.Process:
    """Return the process that downloads."""
    (process,) = [child for child in service.descendants() if "spawn_main" in " ".join(child.cmdline())]
    return process


def check_complete(service: Service, data: Path, hub: Hub) -> None:
    """Check that the model is there, byte for byte, and said to be."""
    told = model(service)
    assert (told["model_downloaded"], told["model_downloading"]) == (True, False)
    assert (told["model_download_error"], told["commit"], told["task_id"]) == (None, COMMIT, None)
    snapshot = cache(data) / "snapshots" / COMMIT
    assert {path.name for path in snapshot.iterdir()} == {WEIGHTS, "config.json"}
    for path in snapshot.iterdir():
        assert path.read_bytes() == hub.files[path.name]
    assert not list(cache(data).rglob("*.incomplete"))


def test_a_download_brings_weights_and_configuration_and_nothing_else(
    cloud: Service, hub: Hub, data: Path
) -> None:
    """Code from the hub is not wanted, and a second click has nothing to do."""
    told = model(cloud)
    assert (told["model_id"], told["revision"], told["licence"]) == (REPO_ID, "main", "MIT")
    assert (told["model_downloaded"], told["model_downloading"], told["commit"]) == (False, False, None)
    task = downloaded(cloud)
    assert (task["status"], task["percent"]) == ("complete", 100)
    assert task["task_id"].startswith("bgdownload_")
    assert any(line.startswith("Checking") for line in task["logs"])
    check_complete(cloud, data, hub)
    assert download(cloud) is None
    assert hub.asked_for(WEIGHTS) == 1
    assert hub.sent == len(hub.files[WEIGHTS])


def test_the_token_goes_to_the_hub_and_not_to_its_storage(cloud: Service, hub: Hub) -> None:
    """A token at a third party is a leak."""
    downloaded(cloud)
    assert hub.tokens == {"hub": {"Bearer hf_secret"}, "storage": {None}}


def test_the_percentage_is_that_of_the_bytes(cloud: Service, hub: Hub, data: Path) -> None:
    """The user reads from it how long the train ride has to be."""
    task_id = held_at(cloud, hub, data, 500_000)
    total = len(hub.files[WEIGHTS]) + len(hub.files["config.json"])
    share = 100 * (500_000 + len(hub.files["config.json"])) / total
    wait_for(lambda: cloud.task(task_id)["percent"] == round(share, 1))
    assert cloud.task(task_id)["message"].startswith("0.5 MB of 1.0 MB")
    assert state(cloud) == (False, True, None)
    hub.released.set()
    assert cloud.finished(task_id)["status"] == "complete"
    check_complete(cloud, data, hub)


def test_a_proxy_is_used(
    hub: Hub, environment: pytest.MonkeyPatch, cloud: Service, data: Path, tmp_path: Path
) -> None:
    """In many companies there is no other way out."""
    assert cloud
    with environment.context() as patch:
        patch.setenv("HF_ENDPOINT", "http://hub.invalid")
        patch.setenv("HTTP_PROXY", hub.url)
        with running(data, tmp_path / "temp") as company:
            assert downloaded(company)["status"] == "complete"
            check_complete(company, data, hub)


def test_two_clicks_are_one_download(cloud: Service, hub: Hub, data: Path) -> None:
    """Impatience must not cost the user's traffic twice."""
    task_id = held_at(cloud, hub, data, 100_000)
    assert download(cloud) == task_id
    hub.released.set()
    assert cloud.finished(task_id)["status"] == "complete"
    assert hub.asked_for(WEIGHTS) == 1


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
    """Some connections die without a word, and would be waited on for ever."""
    assert cloud
    hub.faults = [Fault("stall", 600_000)]
    with environment.context() as patch:
        patch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", str(IMPATIENT_S))
        with running(data, tmp_path / "temp") as service:
            task = downloaded(service)
    assert task["status"] == "complete"
    assert any("does not answer any more. Trying again" in line for line in task["logs"])
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


def test_damaged_weights_are_not_kept_and_good_files_are(cloud: Service, hub: Hub, data: Path) -> None:
    """A model with one wrong bit would cut out nonsense for years."""
    hub.faults = [Fault("corrupt", 700_000)]
    task = downloaded(cloud)
    assert (task["code"], WEIGHTS in task["message"]) == ("download_damaged", True)
    assert state(cloud) == (False, False, task["message"])
    assert not blob(data, hub).exists()
    assert not partial(data, hub).exists()
    assert not (cache(data) / "snapshots" / COMMIT / WEIGHTS).is_symlink()
    assert downloaded(cloud)["status"] == "complete"
    assert hub.asked_for("config.json") == 1
    check_complete(cloud, data, hub)


@pytest.mark.parametrize("size", [300_000, 1_200_000])
def test_a_wrong_part_is_replaced_not_continued_for_ever(
    cloud: Service, hub: Hub, data: Path, size: int
) -> None:
    """Left by another program or a broken disk: too long, or the wrong bytes."""
    partial(data, hub).parent.mkdir(parents=True)
    partial(data, hub).write_bytes(b"x" * size)
    assert downloaded(cloud)["status"] == "complete"
    assert hub.starts == ([300_000, 0] if size == 300_000 else [0])
    check_complete(cloud, data, hub)


def test_a_storage_without_ranges_begins_anew(cloud: Service, hub: Hub, data: Path) -> None:
    """Some mirrors and proxies cannot send part of a file."""
    hub.ranges = False
    hub.faults = [Fault("cut", 600_000)]
    assert downloaded(cloud)["status"] == "complete"
    assert hub.starts == [0, 0]
    check_complete(cloud, data, hub)


def test_a_full_disk_is_told_and_nothing_is_lost(cloud: Service, hub: Hub, data: Path) -> None:
    """After making room the user fetches the rest."""
    _, hard = resource.prlimit(cloud.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(cloud.process.pid, resource.RLIMIT_FSIZE, (600_000, hard))
    try:
        task = downloaded(cloud)
    finally:
        resource.prlimit(cloud.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert task["code"] == "storage_failed"
    assert downloaded(cloud)["status"] == "complete"
    assert hub.starts == [0, 600_000]
    check_complete(cloud, data, hub)


def test_a_model_larger_than_the_disk_is_not_begun(cloud: Service, hub: Hub) -> None:
    """Better told now than after an hour."""
    hub.claims = {WEIGHTS: {"size": 10**18}}
    task = downloaded(cloud)
    assert task["code"] == "storage_failed"
    assert "1000000000000 MB" in task["message"]
    assert task["message"].count(" MB") == 2
    assert hub.asked_for(WEIGHTS) == 0


def test_a_truncated_file_is_noticed_and_it_alone_is_fetched_again(
    cloud: Service, hub: Hub, data: Path
) -> None:
    """A repair costs what is broken, and until then the model is not said to be there."""
    downloaded(cloud)
    with blob(data, hub).open("rb+") as file:
        file.truncate(1000)
    told = model(cloud)
    assert (told["model_downloaded"], told["commit"]) == (False, None)
    assert downloaded(cloud)["status"] == "complete"
    assert (hub.asked_for(WEIGHTS), hub.asked_for("config.json")) == (2, 1)
    check_complete(cloud, data, hub)


def test_a_replaced_file_is_noticed_though_it_has_the_same_size(cloud: Service, hub: Hub, data: Path) -> None:
    """Same size, other bytes; the time of change gives it away."""
    downloaded(cloud)
    blob(data, hub).write_bytes(bytes(len(hub.files[WEIGHTS])))
    assert state(cloud) == (False, False, None)
    assert downloaded(cloud)["status"] == "complete"
    check_complete(cloud, data, hub)


def test_what_is_sound_is_not_fetched_again(cloud: Service, hub: Hub, data: Path) -> None:
    """A restored backup has other times; a lost link costs nothing."""
    downloaded(cloud)
    os.utime(blob(data, hub))
    (cache(data) / "snapshots" / COMMIT / "config.json").unlink()
    assert state(cloud) == (False, False, None)
    assert downloaded(cloud)["status"] == "complete"
    assert (hub.asked_for(WEIGHTS), hub.asked_for("config.json")) == (1, 1)
    check_complete(cloud, data, hub)


def test_the_hubs_own_library_shares_the_cache(cloud: Service, hub: Hub, data: Path) -> None:
    """It finds what we downloaded, without a connection; we take what it downloaded."""
    code = (
        "import sys; from huggingface_hub import snapshot_download;"
        f"print(snapshot_download({REPO_ID!r}, cache_dir=sys.argv[1],"
        " local_files_only=sys.argv[2] == 'local', allow_patterns=['*.safetensors', 'config.json']))"
    )

    def library(where: str) -> str:
        folder = str(cache(data).parent)
        command = [sys.executable, "-c", code, folder, where]
        run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        return run.stdout.strip()

    fetched = library("hub")
    asked = hub.asked_for(WEIGHTS)
    assert downloaded(cloud)["status"] == "complete"
    assert hub.asked_for(WEIGHTS) == asked
    assert state(cloud) == (True, False, None)
    shutil.rmtree(data / "models")
    assert downloaded(cloud)["status"] == "complete"
    assert library("local") == fetched == str(cache(data) / "snapshots" / COMMIT)


def test_no_route_ends_with_a_sentence_and_a_checked_model_needs_none(
    cloud: Service, hub: Hub, data: Path, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a plane the service still says what is wrong, and still knows a model that it has checked."""
    with environment.context() as patch:
        patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with running(data, tmp_path / "temp") as plane:
            task = downloaded(plane)
            assert (task["status"], task["code"]) == ("error", "download_failed")
            assert task["message"].startswith("There is no connection to 127.0.0.1: ")
            assert state(plane) == (False, False, task["message"])
    assert downloaded(cloud)["status"] == "complete"
    os.utime(blob(data, hub))
    asked = len(hub.paths)
    with environment.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        with running(data, tmp_path / "offline") as offline:
            assert downloaded(offline)["status"] == "complete"
            check_complete(offline, data, hub)
            with blob(data, hub).open("rb+") as file:
                file.write(b"x")
            task = downloaded(offline)
            assert (task["code"], "HF_HUB_OFFLINE" in task["message"]) == ("download_failed", True)
    assert len(hub.paths) == asked


def test_the_hubs_code_is_fetched_only_for_the_loader_that_runs_it(
    cloud: Service, hub: Hub, data: Path, tmp_path: Path
) -> None:
    """A model downloaded for the native loader is not enough for the other one."""
    downloaded(cloud)
    with running(data, tmp_path / "temp", loader="transformers") as service:
        assert state(service) == (False, False, None)
        assert downloaded(service)["status"] == "complete"
        assert (cache(data) / "snapshots" / COMMIT / "birefnet.py").exists()
        assert state(service) == (True, False, None)
    assert hub.asked_for(WEIGHTS) == 1
    assert state(cloud) == (True, False, None)


def test_two_services_with_one_data_folder_download_once(
    cloud: Service, hub: Hub, data: Path, tmp_path: Path
) -> None:
    """Writing the same file together would damage it."""
    with running(data, tmp_path / "temp") as other:
        task_id = held_at(cloud, hub, data, 200_000)
        second = download(other)
        assert second is not None
        wait_for(lambda: "another download" in other.task(second)["message"])
        hub.released.set()
        assert cloud.finished(task_id)["status"] == "complete"
        assert other.finished(second)["status"] == "complete"
    assert hub.asked_for(WEIGHTS) == 1
    check_complete(cloud, data, hub)


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


def test_the_command_line_downloads_and_copies(
    environment: pytest.MonkeyPatch, hub: Hub, tmp_path: Path
) -> None:
    """One line before a journey; and the same for a machine that never sees a network."""
    assert environment

    def bgremove(data: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        root = Path(__file__).resolve().parents[2]
        settings = {"BGREMOVE_NO_BOOTSTRAP": "1", "BGREMOVE_DATA_DIR": str(tmp_path / data), **variables}
        return subprocess.run(
            [sys.executable, "scripts/bgremove.py", "download", *arguments],
            cwd=root,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert bgremove("one", "--model", "birefnet_huge").returncode == 2
    done = bgremove("one", "--model", "birefnet")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.endswith(f"bgremove: {REPO_ID} is downloaded\n")
    snapshot = cache(tmp_path / "one") / "snapshots" / COMMIT
    copied = bgremove("two", "--from", str(snapshot))
    assert copied.returncode == 0, copied.stderr
    (record,) = (tmp_path / "two" / "models" / "birefnet" / "records").iterdir()
    told = json.loads(record.read_text())
    assert told["commit"].startswith("local-")
    assert set(told["files"]) == {WEIGHTS, "config.json"}
    asked = len(hub.paths)
    again = bgremove("two", HF_HUB_OFFLINE="1")
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, f"bgremove: {REPO_ID} is here already")
    assert len(hub.paths) == asked
    failed = bgremove("three", "--from", str(record.parent))
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "has no *.safetensors file" in failed.stderr
