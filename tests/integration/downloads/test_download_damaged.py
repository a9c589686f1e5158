"""Downloads onto disks that are full, and into folders where something has gone wrong."""

import os
import resource
import sys
from pathlib import Path

import pytest

from tests.downloading import blob, cache, check_complete, downloaded, model, partial, state
from tests.hub import COMMIT, WEIGHTS, Fault, Hub
from tests.service import Service

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


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
    """Better refused now than after an hour."""
    hub.claims = {WEIGHTS: {"size": 10**18}}
    task = downloaded(cloud)
    assert task["code"] == "storage_failed"
    assert "1000000000000 MB" in task["message"]
    assert task["message"].count(" MB") == 2
    assert hub.asked_for(WEIGHTS) == 0


def test_a_truncated_file_is_noticed_and_it_alone_is_fetched_again(
    cloud: Service, hub: Hub, data: Path
) -> None:
    """A repair costs what is broken, and until then the model is not reported to be there."""
    downloaded(cloud)
    with blob(data, hub).open("rb+") as file:
        file.truncate(1000)
    fields = model(cloud)
    assert (fields["model_downloaded"], fields["commit"]) == (False, None)
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
