"""The cluster's nodes, and their actors: made on nodes that join, made again by Ray when they die.

Source: Ray 2.60, "Actors" and "Scheduling" (node affinity, fault tolerance with max_restarts).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from shared.messages import ClusterConfig, ModelInfo, NodeStatus, WorkerConfig
from shared.version import VERSION
from worker.cluster.actor import ActorReport, RemovalActor

NODES_INTERVAL_S = 3.0
ACTOR_CALLS = 1000  # at the same time, of an actor: its jobs, and their cancels
log = logging.getLogger("worker.cluster")


@dataclass(eq=False, slots=True)
class RemoteActor:
    """An actor, and the jobs that it has. `info` is None until its model is loaded, and while it restarts."""

    node_id: str
    node: str
    handle: Any
    info: ModelInfo | None = None
    jobs: set[str] = field(default_factory=set)
    runs_alone: bool = False

    @property
    def free_slots(self) -> int:
        """How many more jobs it takes."""
        return 0 if self.info is None or self.runs_alone else self.info.max_concurrency - len(self.jobs)


class ClusterNodes:
    """The nodes of the cluster that this process has joined as a driver. Lives on the event loop.

    `on_change` is called with a node's status whenever that changes, and whenever actors come or go.
    """

    def __init__(
        self, config: WorkerConfig, cluster: ClusterConfig, on_change: Callable[[NodeStatus], None]
    ) -> None:
        self.actors: list[RemoteActor] = []
        self._config = config
        self._cluster = cluster
        self._on_change = on_change
        self._known: dict[str, NodeStatus] = {}
        self._done: Counter[str] = Counter()
        self._starting: set[asyncio.Task[None]] = set()

    async def watch(self) -> None:
        """Look for nodes that have joined or left, until it is cancelled."""
        while True:
            await self.refresh()
            for node_id, status in list(self._known.items()):
                if status.jobs_done != self._done[status.name]:
                    self._report(node_id, replace(status, jobs_done=self._done[status.name]))
            await asyncio.sleep(NODES_INTERVAL_S)

    def count_job(self, actor: RemoteActor) -> None:
        """Count a job that an actor has finished."""
        self._done[actor.node] += 1

    async def refresh(self) -> None:
        """Make actors on nodes that have joined, and forget those of nodes that have left."""
        nodes = {node["NodeID"]: node for node in await asyncio.to_thread(ray.nodes) if node["Alive"]}
        for node_id in self._known.keys() - nodes.keys():
            self.actors = [actor for actor in self.actors if actor.node_id != node_id]
            self._report(
                node_id, replace(self._known.pop(node_id), state="lost", detail="The node has left.")
            )
        for node_id, node in nodes.items():
            if node_id not in self._known:
                self._begin(node_id, node)

    def recover(self, actor: RemoteActor) -> None:
        """Wait in the background until Ray has made a dead actor again."""
        actor.info = None
        self._spawn(self._load(actor))

    def kill(self, actor: RemoteActor) -> None:
        """Kill an actor that does not answer; Ray makes it again."""
        ray.kill(actor.handle, no_restart=False)

    @property
    def settled(self) -> bool:
        """Whether no node is still loading the model."""
        return all(status.state != "loading" for status in self._known.values())

    def describe_failures(self) -> str:
        """Return why nodes were left out, in a sentence each."""
        return " ".join(f"{status.name}: {status.detail}" for status in self._known.values() if status.detail)

    def _begin(self, node_id: str, node: dict[str, Any]) -> None:
        name = f"{node['NodeManagerHostname']}-{node_id[:6]}"
        options = self._plan_actors(node["Resources"])
        status = NodeStatus(name, "loading")
        if not options:
            status = NodeStatus(name, "left_out", "The node has no resources for an actor.")
        self._report(node_id, status)
        for option in options:
            config = self._config
            if "num_gpus" not in option:
                config = replace(config, device="cpu", threads=max(1, int(option["num_cpus"])))
            handle = (
                ray.remote(RemovalActor)
                .options(
                    **option,
                    max_restarts=-1,
                    max_concurrency=ACTOR_CALLS,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
                )
                .remote(config, self._cluster.data_dir)
            )
            self._spawn(self._load(RemoteActor(node_id, name, handle)))

    def _plan_actors(self, resources: dict[str, float]) -> list[dict[str, float]]:
        """Return the resources of each actor of a node: one per GPU, or one per so many cores of the CPU."""
        gpus, cpus = int(resources.get("GPU", 0)), resources.get("CPU", 0.0)
        if gpus and self._config.loader != "onnx":
            return [{"num_gpus": self._cluster.gpus_per_actor, "num_cpus": 0}] * gpus
        share = self._cluster.cpus_per_actor or cpus
        return [{"num_cpus": share}] * int(cpus // share) if share else []

    async def _load(self, actor: RemoteActor) -> None:
        """Wait for an actor's model; leave the node out if it cannot have it."""
        while actor.node_id in self._known:
            try:
                report: ActorReport = await actor.handle.report.remote()
            except RayError as error:
                if actor.node_id in self._known and "temporarily unavailable" in str(error):
                    await asyncio.sleep(0.2)
                    continue
                self._leave_out(actor, _first_line(error))
                return
            if report.version != VERSION:
                self._leave_out(actor, f"It has version {report.version} of bgremove, the service {VERSION}.")
            elif report.model is None:
                self._leave_out(actor, report.detail)
            else:
                actor.info = report.model
                if actor not in self.actors:
                    self.actors.append(actor)
                self._report_ready(actor.node_id, report.model)
            return

    def _report_ready(self, node_id: str, model: ModelInfo) -> None:
        memory_bytes = sum(
            actor.info.device_memory_bytes for actor in self.actors if actor.info and actor.node_id == node_id
        )
        ready = replace(
            self._known[node_id],
            state="ready",
            detail="",
            device=model.device,
            device_memory_bytes=memory_bytes,
        )
        self._report(node_id, ready)

    def _leave_out(self, actor: RemoteActor, detail: str) -> None:
        log.warning("cluster node left out", extra={"node": actor.node, "reason": detail})
        ray.kill(actor.handle)
        self.actors = [each for each in self.actors if each is not actor]
        known = self._known.get(actor.node_id)
        if known is not None and not any(each.node_id == actor.node_id for each in self.actors):
            self._report(actor.node_id, replace(known, state="left_out", detail=detail))

    def _report(self, node_id: str, status: NodeStatus) -> None:
        if status.state != "lost":
            self._known[node_id] = status
        self._on_change(status)

    def _spawn(self, coroutine: Any) -> None:  # noqa: ANN401  # a coroutine without result
        task = asyncio.ensure_future(coroutine)
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)


def _first_line(error: Exception) -> str:
    """Return the last line of Ray's text, which is the cause's, without its colours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
