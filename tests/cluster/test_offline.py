"""`bgremove.py remove --cluster`: the nodes read and write the files themselves."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster.conftest import RayCluster, actors
from tests.integration.commands import ENVIRONMENT, Run, bgremove, command
from tests.service import Service, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def photos(tmp_path: Path, astronaut: bytes) -> Path:
    """A folder with a subfolder of photos."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number in range(8):
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
    """A second run does only what is missing; a damaged photo is one failure."""
    expected = service.cut(astronaut, "a.jpg")
    cluster.add_node()
    cluster.add_node()
    out = tmp_path / "out"
    done = remove(cluster, data_dir, photos, "--out-dir", out)
    assert done.returncode == 0, done.stderr
    assert "wrote 8" in done.stderr.splitlines()[-1]
    results = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert sorted(results) == sorted(
        f"sub/{number}-cutout.png" if number % 2 else f"{number}-cutout.png" for number in range(8)
    )
    assert set(results.values()) == {expected}
    assert not actors(cluster), "they end with the command"
    (out / "0-cutout.png").unlink()
    (photos / "bad.jpg").write_bytes(astronaut[:300])
    again = remove(cluster, data_dir, f"file://{photos}", "--out-dir", f"file://{out}", "--json")
    assert again.returncode == 1
    records = [json.loads(line) for line in again.stdout.splitlines()]
    by_input = {Path(record["input"]).name: record for record in records}
    assert by_input["bad.jpg"]["error"]["code"] == "damaged_image"
    assert Path(by_input["0.jpg"]["output"].removeprefix("file://")).read_bytes() == expected
    assert len(records) == 2


def test_a_node_that_is_killed_costs_no_photo(
    cluster: RayCluster, data_dir: Path, photos: Path, tmp_path: Path
) -> None:
    """Its photos are done by the others."""
    first = cluster.add_node()
    cluster.add_node()
    line = command("remove", photos, "--cluster", cluster.address, "--out-dir", tmp_path / "out")
    variables = {**ENVIRONMENT, "BGREMOVE_DATA_DIR": str(data_dir)}
    with subprocess.Popen(line, env=variables, stderr=subprocess.PIPE, text=True) as batch:
        wait_for(lambda: list(tmp_path.rglob("*-cutout.png")), 60)
        cluster.kill_node(first)
        _, errors = batch.communicate(timeout=120)
    assert batch.returncode == 0, errors
    assert len(list(tmp_path.rglob("*-cutout.png"))) == 8
