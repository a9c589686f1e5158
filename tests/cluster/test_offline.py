"""`bgremove.py remove --cluster`: the nodes read and write the files themselves."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cluster.conftest import RayCluster, actors
from tests.integration.commands import ENVIRONMENT, Run, bgremove, command
from tests.service import Service, wait_for

PHOTOS = 20
pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def photos(tmp_path: Path, astronaut: bytes) -> Path:
    """A folder with a subfolder of photos."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number in range(PHOTOS):
        (folder / ("sub" if number % 2 else "") / f"{number}.jpg").write_bytes(astronaut)
    (folder / "notes.txt").write_text("no photo")
    return folder


def remove(cluster: RayCluster, data_dir: Path, *arguments: object) -> Run:
    """Remove the backgrounds of a folder on a cluster."""
    settings = {"BGREMOVE_DATA_DIR": str(data_dir)}
    return bgremove("remove", *arguments, "--cluster", cluster.address, settings=settings)


def test_a_batch_has_the_results_of_the_service_and_goes_on_where_it_ended(
    cluster: RayCluster, data_dir: Path, photos: Path, tmp_path: Path, service: Service, astronaut: bytes
) -> None:
    """A second run does only what is missing or older than its photo; a damaged photo is one failure."""
    expected = service.cut(astronaut, "a.jpg")
    cluster.add_node()
    cluster.add_node()
    out = tmp_path / "out"
    done = remove(cluster, data_dir, photos, "--recursive", "--out-dir", out)
    assert done.returncode == 0, done.stderr
    assert f"wrote {PHOTOS}," in done.stderr.splitlines()[-1]
    results = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert sorted(results) == sorted(
        f"sub/{number}-cutout.png" if number % 2 else f"{number}-cutout.png" for number in range(PHOTOS)
    )
    assert set(results.values()) == {expected}
    assert not actors(cluster), "they end with the command"
    (out / "0-cutout.png").unlink()
    os.utime(out / "2-cutout.png", (1, 1))
    (photos / "bad.jpg").write_bytes(astronaut[:300])
    again = remove(
        cluster, data_dir, f"file://{photos}", "--recursive", "--out-dir", f"file://{out}", "--json"
    )
    assert again.returncode == 1
    assert f"wrote 2, skipped {PHOTOS - 2} up to date" in again.stderr
    records = [json.loads(line) for line in again.stdout.splitlines()]
    by_input = {Path(record["input"]).name: record for record in records}
    assert by_input.pop("bad.jpg")["error"]["code"] == "damaged_image"
    processed = {name for name, record in by_input.items() if "skipped" not in record}
    assert processed == {"0.jpg", "2.jpg"}
    assert Path(by_input["0.jpg"]["output"].removeprefix("file://")).read_bytes() == expected
    assert by_input["0.jpg"]["model_id"] == "u2netp"
    assert len(by_input) == PHOTOS


def test_the_options_of_the_local_command_apply(
    cluster: RayCluster, data_dir: Path, photos: Path, tmp_path: Path, service: Service, astronaut: bytes
) -> None:
    """Also an image behind the subject, which the nodes do not have."""
    behind = tmp_path / "behind.jpg"
    behind.write_bytes(astronaut)
    task_id = service.upload_over(astronaut, astronaut, format="webp", max_size="200").json()["task_id"]
    assert service.finished(task_id)["status"] == "complete"
    url = service.client.get(f"/remove/result/{task_id}").json()["result_url"]
    expected = service.client.get(url.removeprefix("/api/v1")).content
    cluster.add_node()
    options = ("--format", "webp", "--max-size", 200, "--background-file", behind)
    done = remove(cluster, data_dir, photos / "0.jpg", "--out-dir", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "0-cutout.webp").read_bytes() == expected


def test_what_needs_no_cluster_joins_none(data_dir: Path, photos: Path, tmp_path: Path) -> None:
    """Usage errors, and a folder whose results are up to date."""

    def run(*arguments: object) -> Run:
        settings = {"BGREMOVE_DATA_DIR": str(data_dir)}
        return bgremove("remove", *arguments, "--cluster", "127.0.0.1:1", settings=settings)

    out = tmp_path / "out"
    for arguments, text in (
        ((photos,), "needs --out-dir"),
        ((photos, photos, "--out-dir", out), "one folder"),
        ((tmp_path / "none", "--out-dir", out), "no file"),
        ((photos, "--out-dir", "nosuch://bucket"), "nosuch"),
        ((photos, "--out-dir", photos), "another folder"),
    ):
        refused = run(*arguments)
        assert refused.returncode == 2, refused.stderr
        assert text in refused.stderr
    unreachable = run(photos, "--out-dir", out)
    assert unreachable.returncode == 1
    assert "127.0.0.1:1 cannot be joined" in unreachable.stderr
    out.mkdir()
    for number in range(0, PHOTOS, 2):
        (out / f"{number}-cutout.png").touch()
    done = run(photos, "--out-dir", out)
    assert done.returncode == 0, done.stderr
    assert f"skipped {PHOTOS // 2} up to date" in done.stderr


def test_a_node_that_is_killed_costs_no_photo(
    cluster: RayCluster, data_dir: Path, photos: Path, tmp_path: Path
) -> None:
    """Its photos are done by the others."""
    first = cluster.add_node()
    cluster.add_node()
    line = command(
        "remove", photos, "--recursive", "--cluster", cluster.address, "--out-dir", tmp_path / "out"
    )
    variables = {**ENVIRONMENT, "BGREMOVE_DATA_DIR": str(data_dir)}
    with subprocess.Popen(line, env=variables, stderr=subprocess.PIPE, text=True) as batch:
        wait_for(lambda: list(tmp_path.rglob("*-cutout.png")), 60)
        cluster.kill_node(first)
        _, errors = batch.communicate(timeout=120)
    assert batch.returncode == 0, errors
    assert len(list(tmp_path.rglob("*-cutout.png"))) == PHOTOS


def test_the_only_actor_that_is_killed_costs_no_photo(
    cluster: RayCluster, data_dir: Path, photos: Path, tmp_path: Path
) -> None:
    """Ray makes it again, and what Ray prints about that is not among the lines for programs."""
    cluster.add_node()
    line = command("remove", photos, "--cluster", cluster.address, "--out-dir", tmp_path / "out", "--json")
    variables = {**ENVIRONMENT, "BGREMOVE_DATA_DIR": str(data_dir)}
    pipe = subprocess.PIPE
    with subprocess.Popen(line, env=variables, stdout=pipe, stderr=pipe, text=True) as batch:
        wait_for(lambda: list(tmp_path.rglob("*-cutout.png")), 60)
        actors(cluster)[0].kill()
        output, errors = batch.communicate(timeout=120)
    assert batch.returncode == 0, errors
    assert len([json.loads(record)["output"] for record in output.splitlines()]) == PHOTOS // 2
