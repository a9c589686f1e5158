"""`bench.py fleet --cluster`: throughput by the number of actors, and their cost over a local worker.

The nodes are processes of this machine, and the actors sleep: what is measured is the way of a photo from
the supervisor by the bridge to an actor, and back.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

from benches import ROOT, BenchFailed
from benches.bench_server import Server, read_cpu_s, run_server
from benches.load_generator import Target, bgremove_target, run_clients, run_one_client
from benches.photos import Photo
from benches.sleeping_worker import PHOTO_S, SLEEP_FILE

ACTORS = (1, 2, 4, 8)
SLOW_PHOTO_S = 0.2  # so slow that eight actors do not need all of the supervisor's time
CLIENTS_PER_ACTOR = 3
PHOTOS_PER_ACTOR = 20
SINGLE_PHOTOS = 15
LOAD_TIMEOUT_S = 120
OBJECT_STORE_BYTES = 200_000_000
SUPERVISOR = "benches.sleeping_actor"
ACTOR_TITLE = "ray::SleepingActor"  # of an actor's process; a call's name may follow


def measure_cluster(photos: list[Photo], rounds: int) -> dict[str, Any]:
    """Measure, print the tables, and return all measurements. Raises BenchFailed without Ray."""
    with _run_cluster() as address:
        actors = {
            f"{photo.name}, {sleep_s * 1000:g} ms": _measure_actors(address, photo, sleep_s, rounds)
            for photo, sleep_s in ((photos[0], PHOTO_S), (photos[0], SLOW_PHOTO_S), (photos[1], PHOTO_S))
        }
        return {"actors": actors, "overhead": _measure_overhead(address, photos, rounds)}


@contextmanager
def _run_cluster() -> Iterator[str]:
    """Run a head without cores and a node with as many as there are actors; yields the address."""
    # Of the nodes, and of the supervisor.
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "scripts")))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        from ray.cluster_utils import Cluster  # noqa: PLC0415  # for this option alone
    except ImportError as error:
        raise BenchFailed("--cluster needs Ray: run scripts/bgremove.py install --cluster") from error
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **options})
    try:
        cluster.add_node(num_cpus=ACTORS[-1], **options)
        yield str(cluster.address)
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def _run_on_cluster(address: str, count: int, sleep_s: float) -> Iterator[Server]:
    """Run a server whose devices are so many actors, and wait for them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        run_server(
            SUPERVISOR,
            model=_make_model(Path(folder), sleep_s),
            device="none",
            cluster=address,
            cluster_cpus_per_actor=str(ACTORS[-1] / count),
        ) as server,
    ):
        httpx2.post(f"{server.url}/api/v1/models/birefnet/load", trust_env=False).raise_for_status()
        deadline_s = time.monotonic() + LOAD_TIMEOUT_S
        while len(_find_actors()) < count:
            if time.monotonic() > deadline_s:
                raise BenchFailed("The actors did not start.")
            time.sleep(0.2)
        yield server
    while _find_actors():  # they would take the cores of the next ones
        time.sleep(0.2)


def _make_model(folder: Path, sleep_s: float) -> str:
    (folder / "model.safetensors").touch()
    (folder / SLEEP_FILE).write_text(str(sleep_s))
    return str(folder)


def _find_actors() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "".join(process.cmdline()[:1]).startswith(ACTOR_TITLE):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _measure_actors(address: str, photo: Photo, sleep_s: float, rounds: int) -> dict[int, dict[str, float]]:
    """Return throughput and processor time per photo, by the number of actors."""
    print(f"\n{photo.name}, {len(photo.jpeg) / 1e6:.1f} MB, actors that sleep {sleep_s * 1000:g} ms")
    print("actors  photos/s  of linear  ms/photo: supervisor  bridge   nodes")
    measured: dict[int, dict[str, float]] = {}
    for count in ACTORS:
        with _run_on_cluster(address, count, sleep_s) as server:
            measured[count] = row = _measure_server(server, photo, count, rounds)
        row["of_linear"] = row["photos_per_s"] / (count * measured[ACTORS[0]]["photos_per_s"])
        print(
            f"{count:6} {row['photos_per_s']:9.1f} {row['of_linear']:10.2f} "
            f"{row['supervisor_ms']:21.1f} {row['bridge_ms']:7.1f} {row['nodes_ms']:7.1f}"
        )
    return measured


def _measure_server(server: Server, photo: Photo, count: int, rounds: int) -> dict[str, float]:
    target = bgremove_target(server.url, {"model": "birefnet"}, by_stream=False)
    clients, images = CLIENTS_PER_ACTOR * count, PHOTOS_PER_ACTOR * count
    run_clients(target, photo, clients, images)  # connections, and the actors' first jobs
    before = _read_cpu_times_s(server)
    rates = [run_clients(target, photo, clients, images) for _ in range(rounds)]
    after = _read_cpu_times_s(server)
    costs = {f"{name}_ms": (after[name] - before[name]) * 1000 / (rounds * images) for name in after}
    return {"photos_per_s": statistics.median(rates), **costs}


def _read_cpu_times_s(server: Server) -> dict[str, float]:
    """Return the processor time so far of the supervisor, the bridge, and the nodes with their actors."""
    supervisor_s, server_s = server.supervisor_cpu_s(), server.cpu_s()
    all_s = sum(map(read_cpu_s, psutil.Process().children(recursive=True)))  # this benchmark started them
    return {
        "supervisor": supervisor_s,
        "bridge": server_s - supervisor_s,
        "nodes": all_s - server_s,
    }


def _measure_overhead(address: str, photos: list[Photo], rounds: int) -> dict[str, dict[str, float]]:
    """Return the median latency of one client with a local worker and with an actor, measured in turns."""
    print("\none client       local worker       actor  difference")
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        local = run_server(
            model=_make_model(Path(folder), PHOTO_S),
            device="cuda:0",
            birefnet_worker="scripts.benches.sleeping_worker:serve",
        )
        with local as local_server, _run_on_cluster(address, 1, PHOTO_S) as server:
            targets = [
                bgremove_target(each.url, {"model": "birefnet"}, by_stream=False)
                for each in (local_server, server)
            ]
            for photo in photos:
                measured[photo.name] = row = _compare(targets, photo, rounds)
                print(
                    f"{photo.name:15} {row['local_ms']:10.1f} ms {row['actor_ms']:8.1f} ms "
                    f"{row['actor_ms'] - row['local_ms']:8.1f} ms"
                )
    return measured


def _compare(targets: list[Target], photo: Photo, rounds: int) -> dict[str, float]:
    latencies: list[list[float]] = [[], []]
    for target in targets:
        run_one_client(target, photo)
    for _ in range(rounds * SINGLE_PHOTOS):
        for target, times in zip(targets, latencies, strict=True):
            times.append(run_one_client(target, photo).latency_ms)
    local_ms, actor_ms = map(statistics.median, latencies)
    return {"local_ms": local_ms, "actor_ms": actor_ms}
