"""Entry point of the bridge process: the driver of a Ray cluster that speaks a worker's protocol."""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from shared import logs
from shared.errors import ModelUnavailable, WorkerStartFailed
from shared.messages import (
    Cancel,
    ClusterConfig,
    Command,
    Event,
    LoadFailed,
    Loading,
    NodeChanged,
    NodeStatus,
    Ready,
    Remove,
    Resized,
    WorkerConfig,
)
from worker.event_sender import EventSender

NAMESPACE = "bgremove"
POLL_S = 0.5
CONNECT_TIMEOUT_S = 5.0
JOIN_GRACE_S = 10.0  # for nodes that join at the same time
ACTOR_TIMEOUT_S = 180.0  # for the resources of the first actor, and its model


def serve(
    commands: "Connection[Command, Command]", queue: "SimpleQueue[Event]", config: WorkerConfig
) -> None:
    """Join the cluster, make an actor on each device of its nodes, and serve removal jobs."""
    logs.configure("warning")
    events = EventSender(queue)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    if config.cluster is None:
        raise ValueError("the bridge needs a cluster")
    events.put(Loading(0, "Joining the cluster"))
    try:
        import ray  # noqa: PLC0415  # slow, and in this process alone

        check_reachable(config.cluster.address)
        # Ray puts this process's folder before the nodes' PYTHONPATH: their versions could not differ.
        with contextlib.chdir(os.sep):
            ray.init(
                address=config.cluster.address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        detail = f"The cluster {config.cluster.address} cannot be joined: {reason}"
        events.put(LoadFailed(WorkerStartFailed.code, detail[:500]))
        return
    asyncio.run(_serve(commands, events, config, config.cluster))
    ray.shutdown()


def check_reachable(address: str) -> None:
    """Raise OSError for an address that nobody listens on: Ray itself would try that for minutes."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()


async def _serve(
    commands: "Connection[Command, Command]",
    events: EventSender,
    config: WorkerConfig,
    cluster: ClusterConfig,
) -> None:
    from worker.cluster.bridge import Bridge  # noqa: PLC0415  # imports ray
    from worker.cluster.nodes import ClusterNodes  # noqa: PLC0415

    size = 0

    def handle_change(status: NodeStatus) -> None:
        nonlocal size
        events.put(NodeChanged(status))
        capacity = sum(actor.info.max_concurrency for actor in nodes.actors if actor.info)
        if capacity != size:
            size = capacity
            events.put(Resized(capacity))
        bridge.assign()

    nodes = ClusterNodes(config, cluster, handle_change)
    bridge = Bridge(nodes, events.put, cluster.job_timeout_s)
    watching = asyncio.create_task(nodes.watch())
    try:
        started_s = time.monotonic()
        while not (any(actor.info for actor in nodes.actors)):
            waited_s = time.monotonic() - started_s
            if waited_s > JOIN_GRACE_S and nodes.settled and nodes.describe_failures():
                events.put(LoadFailed(ModelUnavailable.code, nodes.describe_failures()[:500]))
                return
            if waited_s > ACTOR_TIMEOUT_S:
                text = (
                    f"No actor was started within {ACTOR_TIMEOUT_S:g} s: others hold the cluster's resources."
                )
                events.put(LoadFailed(WorkerStartFailed.code, text))
                return
            events.put(Loading(10, "Loading the model on the cluster"))
            await asyncio.sleep(POLL_S)
        info = next(actor.info for actor in nodes.actors if actor.info)
        events.put(Ready(replace(info, max_concurrency=size)))
        await _read_commands(commands, bridge)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _read_commands(commands: "Connection[Command, Command]", bridge: "Bridge") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Pass commands on until the supervisor closes the pipe."""
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[Command | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                loop.call_soon_threadsafe(received.put_nowait, commands.recv())
        loop.call_soon_threadsafe(received.put_nowait, None)

    threading.Thread(target=read, name="commands", daemon=True).start()
    while (command := await received.get()) is not None:
        match command:
            case Remove(job):
                bridge.submit(job)
            case Cancel(task_id):
                bridge.cancel(task_id)
