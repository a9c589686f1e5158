"""`bench.py fleet`: throughput by the number of devices, and the limit of one supervisor.

The devices are fake: their workers sleep for 15 ms per photo. What one supervisor can dispatch follows from
its processor time per photo; the machine's cores are shared by it, the workers and the client.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import httpx2

from benches import BenchFailed, positive_int
from benches.bench_server import run_server
from benches.clients import FIRST_TIMEOUT_S
from benches.cluster_fleet import measure_cluster
from benches.load_generator import Target, bgremove_target, run_clients
from benches.photos import Photo, make_photos
from benches.sleeping_worker import PHOTO_S

DEVICES = (1, 2, 4, 8)
CLIENTS_PER_DEVICE = 3  # so that a photo waits for every device
PHOTOS_PER_DEVICE = 40
ROUNDS = 3


class EchoedPhoto(Photo):
    """A photo that comes back as it was sent."""

    def check_cutout(self, png: bytes) -> None:
        """Raise BenchFailed unless the result is the photo."""
        if png != self.jpeg:
            raise BenchFailed("A result is not that of its photo.")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `fleet`."""
    parser.add_argument(
        "--rounds", type=positive_int, default=ROUNDS, help=f"rounds of each measurement (default {ROUNDS})"
    )
    parser.add_argument(
        "--cluster", action="store_true", help="measure the actors of a Ray cluster on this machine instead"
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, print the tables, and return all measurements."""
    try:
        photos = make_photos()[::-1]
        if arguments.cluster:
            return measure_cluster([_echo(photo) for photo in photos], arguments.rounds)
        fleet = {photo.name: _measure_fleet(photo, arguments.rounds) for photo in photos}
        return {"fleet": fleet, "shared_cpu": _measure_shared_cpu(photos[0], arguments.rounds)}
    except httpx2.HTTPError as error:
        raise BenchFailed(f"A server failed: {error}") from error


def _echo(photo: Photo) -> Photo:
    return EchoedPhoto(photo.name, photo.width, photo.height, photo.jpeg)


def _measure_fleet(photo: Photo, rounds: int) -> dict[int, dict[str, float]]:
    """Return throughput and the supervisor's time per photo, by the number of devices."""
    echoed = _echo(photo)
    print(f"\n{photo.name}, {len(photo.jpeg) / 1e6:.1f} MB, workers that sleep {PHOTO_S * 1000:g} ms")
    print("devices  photos/s  of linear  supervisor ms/photo  its limit, photos/s")
    measured: dict[int, dict[str, float]] = {}
    for count in DEVICES:
        with tempfile.TemporaryDirectory() as folder:
            measured[count] = row = _measure_devices(Path(folder), echoed, count, rounds)
        linear = row["photos_per_s"] / (count * measured[DEVICES[0]]["photos_per_s"])
        limit = 1000 / row["supervisor_ms"]
        print(
            f"{count:7} {row['photos_per_s']:9.1f} {linear:10.2f} {row['supervisor_ms']:20.1f} {limit:20.0f}"
        )
    return measured


def _measure_devices(folder: Path, photo: Photo, count: int, rounds: int) -> dict[str, float]:
    (folder / "model.safetensors").touch()
    settings = {
        "model": str(folder),
        "device": ",".join(f"cuda:{number}" for number in range(count)),
        "birefnet_worker": "scripts.benches.sleeping_worker:serve",
    }
    images = PHOTOS_PER_DEVICE * count
    with run_server(**settings) as server:
        target = bgremove_target(server.url, {"model": "birefnet"}, by_stream=False)
        run_clients(target, photo, CLIENTS_PER_DEVICE * count, images)  # starts the workers
        before_s = server.supervisor_cpu_s()
        clients = CLIENTS_PER_DEVICE * count
        rates = [run_clients(target, photo, clients, images) for _ in range(rounds)]
        spent_s = server.supervisor_cpu_s() - before_s
    supervisor_ms = spent_s * 1000 / (rounds * images)
    return {"photos_per_s": statistics.median(rates), "supervisor_ms": supervisor_ms}


def _measure_shared_cpu(photo: Photo, rounds: int) -> dict[str, list[float]]:
    """Return the built-in model's throughput with one worker on the CPU and with two, in turns."""
    print(f"\n{photo.name}, the built-in model")
    rates: dict[str, list[float]] = {"cpu": [], "cpu*2": []}
    with run_server(device="cpu") as one, run_server(device="cpu*2") as two:
        targets: dict[str, Target] = {
            name: bgremove_target(server.url, {"model": "builtin"}, by_stream=False)
            for name, server in zip(rates, (one, two), strict=True)
        }
        for target in targets.values():
            with target.connect(1) as client:
                client.remove(photo, FIRST_TIMEOUT_S)
            run_clients(target, photo, 4, 8)
        for number in range(rounds):
            for name in sorted(targets, reverse=bool(number % 2)):
                rates[name].append(run_clients(targets[name], photo, 4, 16))
    for name, values in rates.items():
        print(f"{name:7} {statistics.median(values):9.2f} photos/s")
    return rates
