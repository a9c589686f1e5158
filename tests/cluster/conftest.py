"""A Ray cluster of this machine's own, with several nodes."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.service import ROOT, Service, wait_for

OBJECT_STORE_BYTES = 100_000_000
JOIN_TIMEOUT_S = 60


class RayCluster:
    """A head node without cores, and nodes of one core each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster  # noqa: PLC0415  # slow, and only here

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = str(self._cluster.address)

    def add_node(self, **options: Any) -> Any:  # Ray's
        """Add a node with one core."""
        return self._cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES, **options)

    def kill_node(self, node: Any) -> None:
        """Kill a node and all of its processes."""
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    """A cluster whose nodes have this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_DEDUP_LOGS", "0")
    started = RayCluster()
    yield started
    started.shutdown()


@pytest.fixture
def on_cluster(cluster: RayCluster, start: Callable[..., Service]) -> Callable[..., Service]:
    """Start a service that has no devices of its own."""

    def begin(**settings: Any) -> Service:
        return start(cluster=cluster.address, device="none", queue_limit=300, **settings)

    return begin


def bridge(service: Service) -> dict[str, Any]:
    """Return the status of the built-in model's bridge."""
    workers = service.client.get("/status").json()["workers"]
    (found,) = [worker for worker in workers if worker["id"] == "builtin@cluster"]
    return dict(found)


def nodes(service: Service) -> dict[str, str]:
    """Return the state of every node, by its name."""
    return {node["name"]: node["state"] for node in bridge(service)["nodes"]}


def load(service: Service, ready: int) -> None:
    """Load the built-in model, and wait for so many nodes that have it."""
    task = service.finished(service.client.post("/models/builtin/load").json()["task_id"], JOIN_TIMEOUT_S)
    assert task["status"] == "complete", task
    wait_for(lambda: list(nodes(service).values()).count("ready") == ready, JOIN_TIMEOUT_S)


def actors(cluster: RayCluster) -> list[psutil.Process]:
    """Return the processes of the cluster's actors; other clusters may run on this machine."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            if process.name().startswith("ray::Removal") and parent is not None:
                found += [process] if any(cluster.address in word for word in parent.cmdline()) else []
    return found
