"""Removals on the nodes of a Ray cluster: the same results, and nothing lost with a node."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.conftest import JOIN_TIMEOUT_S, RayCluster, actors, bridge, load, nodes
from tests.integration.test_metrics import scraped, value
from tests.service import ROOT, Service, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(240)]
OnCluster = Callable[..., Service]


def results(service: Service, tasks: list[str]) -> list[bytes]:
    """Wait for all tasks, and return their results."""
    contents = []
    for task_id in tasks:
        task = service.finished(task_id, 120)
        assert task["status"] == "complete", task
        result = service.client.get(f"/remove/result/{task_id}").json()
        contents.append(service.client.get(result["result_url"].removeprefix("/api/v1")).content)
    return contents


def test_nodes_come_and_go_and_every_photo_has_the_result_of_a_local_worker(
    cluster: RayCluster, on_cluster: OnCluster, service: Service, astronaut: bytes
) -> None:
    """Sixty photos; one node is killed among them, and another one joins."""
    expected = service.cut(astronaut, "a.jpg")
    first = cluster.add_node()
    cluster.add_node()
    remote = on_cluster()
    load(remote, ready=2)
    tasks = [remote.upload(astronaut, "a.jpg", model="builtin") for _ in range(60)]
    wait_for(lambda: bridge(remote)["jobs_done"] >= 6, 60)
    cluster.kill_node(first)
    wait_for(lambda: sorted(nodes(remote).values()) == ["left_out", "lost", "ready"], JOIN_TIMEOUT_S)
    cluster.add_node()
    wait_for(lambda: list(nodes(remote).values()).count("ready") == 2, 15)
    assert set(results(remote, tasks)) == {expected}
    assert bridge(remote)["restarts"] == 0, "the bridge outlives its nodes"
    wait_for(lambda: sum(node["jobs_done"] for node in bridge(remote)["nodes"]) == 60)
    samples = scraped(remote)
    done = [value(samples, "cluster_node_jobs_total", model="builtin", node=name) for name in nodes(remote)]
    assert sum(done) == 60


def test_unloading_and_killing_the_service_end_every_actor(
    cluster: RayCluster, on_cluster: OnCluster, astronaut: bytes
) -> None:
    """An actor that stayed would keep its GPU's memory."""
    cluster.add_node()
    cluster.add_node()
    service = on_cluster()
    load(service, ready=2)
    assert len(actors(cluster)) == 2
    assert service.client.post("/models/builtin/unload").json()["unloaded"]
    wait_for(lambda: not actors(cluster), 10)
    load(service, ready=2)
    service.upload(astronaut, "a.jpg", model="builtin")
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()
    wait_for(lambda: not actors(cluster), 10)


def test_a_cancelled_removal_stops_on_its_node(
    cluster: RayCluster, on_cluster: OnCluster, astronaut: bytes
) -> None:
    """The node is free for the next one; and an actor that is killed costs one retry, no photo."""
    cluster.add_node()
    service = on_cluster()
    load(service, ready=1)
    task_id = service.upload(astronaut, "a.jpg", model="builtin", detail="high", max_size="4000")
    wait_for(lambda: service.task(task_id)["status"] == "running", 20)
    assert service.client.delete(f"/tasks/{task_id}").json()["code"] == "cancelled"
    again = service.upload(astronaut, "a.jpg", model="builtin")
    wait_for(lambda: service.task(again)["status"] == "running", 20)
    actors(cluster)[0].kill()
    assert service.finished(again, 60)["status"] == "complete"
    assert bridge(service)["restarts"] == 0
    last = service.upload(astronaut, "a.jpg", model="builtin")
    os.kill(bridge(service)["pid"], signal.SIGKILL)
    assert service.finished(last, 60)["status"] == "complete", "the bridge is started again"
    assert len(actors(cluster)) == 1, "the first bridge's actors are gone"


def test_a_removal_that_takes_too_long_ends_its_actor_only(
    cluster: RayCluster, on_cluster: OnCluster, astronaut: bytes
) -> None:
    """The bridge and the other removals go on."""
    cluster.add_node()
    service = on_cluster(job_timeout_s=0.1)
    load(service, ready=1)
    task = service.finished(service.upload(astronaut, "a.jpg", model="builtin", detail="high"), 60)
    assert task["code"] == "worker_timeout"
    assert bridge(service)["restarts"] == 0
    wait_for(lambda: list(nodes(service).values()).count("ready") == 1, 20)


def test_a_node_with_another_version_or_without_the_model_is_left_out_by_name(
    cluster: RayCluster, on_cluster: OnCluster, tmp_path: Path
) -> None:
    """Its results would differ, or there would be none."""
    other = tmp_path / "other"
    for folder in ("worker", "shared"):
        shutil.copytree(ROOT / folder, other / folder, ignore=shutil.ignore_patterns("__pycache__"))
    version = other / "shared" / "version.py"
    version.write_text(version.read_text().replace("VERSION = ", "VERSION = 'old ' + "))
    cluster.add_node()
    cluster.add_node(env_vars={"PYTHONPATH": str(other)})
    cluster.add_node(env_vars={"BGREMOVE_DATA_DIR": str(tmp_path)})
    service = on_cluster()
    load(service, ready=1)
    wait_for(lambda: "loading" not in nodes(service).values(), JOIN_TIMEOUT_S)
    details = [node["detail"] for node in bridge(service)["nodes"] if node["state"] == "left_out"]
    assert any("version old 0" in detail for detail in details), details
    assert any("not on this node" in detail for detail in details), details


def test_a_cluster_that_is_not_there_is_named(start: Callable[..., Service]) -> None:
    """The local devices serve on; the status says why the cluster does not."""
    service = start(cluster="127.0.0.1:1", device="cpu")
    started = time.monotonic()
    task = service.finished(service.client.post("/models/builtin/load").json()["task_id"], 120)
    assert task["status"] == "complete", "the local worker has it"
    assert time.monotonic() - started < 90
    assert "127.0.0.1:1" in bridge(service)["last_exit"]["detail"]
