"""`bench.py http`: what a client of the API gets, on one machine, optionally beside a server of rembg's."""

import argparse
import statistics
import sys
from dataclasses import asdict
from typing import Any

import httpx2

from benches import BenchFailed, bench_server, http_table, load, photos, positive
from benches.bench_server import Server
from benches.clients import FETCH_TIMEOUT_S
from benches.load import Measured, Side
from benches.photos import Photo

CLIENTS = (1, 4, 16)
CLIENTS_BESIDE_HEALTH = 4
IMAGES_PER_ROUND = 8  # at least; one for each client
ROUNDS = 2
REPEATS = 7


def add_to(parser: argparse.ArgumentParser) -> None:
    """Give `http` its arguments."""
    parser.add_argument(
        "--repeats", type=positive, default=REPEATS, help="removals by one client (default 7)"
    )
    parser.add_argument(
        "--rounds", type=positive, default=ROUNDS, help="rounds of each number of clients (default 2)"
    )
    parser.add_argument(
        "--clients", type=positive, nargs="+", default=CLIENTS, help="at once (default 1 4 16)"
    )
    parser.add_argument(
        "--against", metavar="URL", help="compare with a rembg server, e.g. http://127.0.0.1:7000/api/remove"
    )
    parser.add_argument(
        "--wait",
        choices=("poll", "stream"),
        default="poll",
        help="notice a removal's end by asking every 10 ms, or from its event stream (default poll)",
    )
    parser.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=_option,
        action="append",
        default=[],
        dest="options",
        help="what to ask of our server, e.g. refine=false; may be given several times",
    )


def _option(value: str) -> tuple[str, str]:
    name, equals, chosen = value.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{value} is not of the form NAME=VALUE")
    return name, chosen


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, print a table, and return everything that was seen. Raises BenchFailed."""
    try:
        return _run(arguments)
    except httpx2.HTTPError as error:
        raise BenchFailed(f"A server cannot be used: {error}") from error


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    pictures = photos.standard()
    with bench_server.running() as server:
        options = dict(arguments.options)
        sides = load.sides(server.url, arguments.against, options, by_stream=arguments.wait == "stream")
        _warm_up(sides, pictures)
        report = {}
        for photo in pictures:
            measured = {side.name: Measured() for side in sides}
            _measure_latency(sides, photo, arguments.repeats, measured)
            follower = load.ours(server.url, options, by_stream=True)
            _measure_share(server, follower, photo, arguments.repeats, measured["bgremove"])
            for clients in [clients for _ in range(arguments.rounds) for clients in arguments.clients]:
                _measure_throughput(sides, photo, clients, measured, server)
            http_table.print_photo(photo, measured)
            report[photo.name] = _facts(photo, measured)
        health = _health_under_load(server.url, sides[0], pictures[0])
    http_table.print_health(health, CLIENTS_BESIDE_HEALTH)
    return {"wait": arguments.wait, "options": options, "photos": report, "health_ms": health}


def _warm_up(sides: list[Side], pictures: list[Photo]) -> None:
    for side in sides:
        _progress(f"warming up {side.name}")
        with side.connect(1) as client:
            for photo in pictures:
                client.remove(photo, FETCH_TIMEOUT_S)


# The sides take turns, so that what else the machine does meets them alike.


def _measure_latency(sides: list[Side], photo: Photo, repeats: int, measured: dict[str, Measured]) -> None:
    for number in range(repeats):
        for side in sides:
            _progress(f"{photo.name}, one client, {number + 1} of {repeats}: {side.name}")
            measured[side.name].removals.append(load.one_client(side, photo))


def _measure_share(server: Server, follower: Side, photo: Photo, repeats: int, ours: Measured) -> None:
    """Measure the supervisor's processor time a removal, which its clients follow as the page does."""
    _progress(f"{photo.name}, the supervisor's share")
    with follower.connect(1) as client:
        before_s = server.supervisor_cpu_s()  # in ticks of 10 ms: of all together, the mean is finer
        for _ in range(repeats):
            client.remove(photo)
        ours.supervisor_ms = (server.supervisor_cpu_s() - before_s) * 1000 / repeats


def _measure_throughput(
    sides: list[Side], photo: Photo, clients: int, measured: dict[str, Measured], server: Server
) -> None:
    images = max(IMAGES_PER_ROUND, clients)
    for side in sides:
        _progress(f"{photo.name}, {clients} clients: {side.name}")
        before_s = server.cpu_s()
        rate = load.several_clients(side, photo, clients, images)
        measured[side.name].images_per_s.setdefault(clients, []).append(rate)
        if side is sides[0]:
            measured[side.name].cpu_ms.append((server.cpu_s() - before_s) * 1000 / images)


def _health_under_load(url: str, side: Side, photo: Photo) -> dict[str, float]:
    clients = CLIENTS_BESIDE_HEALTH
    _progress(f"health while {clients} clients send {photo.name}")
    with load.asking_for_health(url) as latencies:
        load.several_clients(side, photo, clients, IMAGES_PER_ROUND * 2)
    ordered = sorted(latencies)
    p99 = ordered[round((len(ordered) - 1) * 0.99)]
    return {"asked": len(ordered), "p50": statistics.median(ordered), "p99": p99, "max": ordered[-1]}


def _facts(photo: Photo, measured: dict[str, Measured]) -> dict[str, Any]:
    return {
        "width": photo.width,
        "height": photo.height,
        "jpeg_bytes": len(photo.jpeg),
        "sides": {
            name: {
                "median_latency_ms": seen.latency_ms,
                "median_images_per_s": seen.throughput,
                "stages_ms": seen.stages_ms(),
                "median_around_network_ms": seen.around_network_ms if name == "bgremove" else None,
                **asdict(seen),
            }
            for name, seen in measured.items()
        },
        "ratios": http_table.ratios(measured),
    }


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
