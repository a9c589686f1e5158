"""`bench.py http`: latency and throughput over HTTP, optionally compared with a rembg server."""

import argparse
import statistics
import sys
from dataclasses import asdict
from typing import Any

import httpx2

from benches import BenchFailed, bench_server, http_table, positive_int
from benches.bench_server import Server
from benches.clients import FIRST_TIMEOUT_S
from benches.load_generator import (
    Measurements,
    Target,
    bgremove_target,
    make_targets,
    poll_health,
    run_clients,
    run_one_client,
)
from benches.photos import Photo, make_photos

CLIENTS = (1, 4, 16)
HEALTH_CLIENTS = 4
IMAGES_PER_ROUND = 8  # at least one per client
ROUNDS = 2
REPEATS = 7


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `http`."""
    parser.add_argument(
        "--repeats", type=positive_int, default=REPEATS, help="removals with one client (default 7)"
    )
    parser.add_argument(
        "--rounds", type=positive_int, default=ROUNDS, help="rounds per number of clients (default 2)"
    )
    parser.add_argument(
        "--clients",
        type=positive_int,
        nargs="+",
        default=CLIENTS,
        help="numbers of concurrent clients (default 1 4 16)",
    )
    parser.add_argument(
        "--against", metavar="URL", help="compare with a rembg server, e.g. http://127.0.0.1:7000/api/remove"
    )
    parser.add_argument(
        "--wait",
        choices=("poll", "stream"),
        default="poll",
        help="wait by polling every 10 ms or by the event stream (default poll)",
    )
    parser.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=_parse_option,
        action="append",
        default=[],
        dest="options",
        help="removal option for our server, e.g. refine=false; repeatable",
    )


def _parse_option(value: str) -> tuple[str, str]:
    name, equals, setting = value.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{value} is not of the form NAME=VALUE")
    return name, setting


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, print a table, and return all measurements. Raises BenchFailed."""
    try:
        return _run(arguments)
    except httpx2.HTTPError as error:
        raise BenchFailed(f"A server failed: {error}") from error


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    photos = make_photos()
    with bench_server.run_server() as server:
        options = dict(arguments.options)
        targets = make_targets(server.url, arguments.against, options, by_stream=arguments.wait == "stream")
        _warm_up(targets, photos)
        report = {}
        for photo in photos:
            results = {target.name: Measurements() for target in targets}
            _measure_latency(targets, photo, arguments.repeats, results)
            streaming = bgremove_target(server.url, options, by_stream=True)
            _measure_supervisor(server, streaming, photo, arguments.repeats, results["bgremove"])
            for clients in [clients for _ in range(arguments.rounds) for clients in arguments.clients]:
                _measure_throughput(targets, photo, clients, results, server)
            http_table.print_photo(photo, results)
            report[photo.name] = _to_report(photo, results)
        health = _measure_health(server.url, targets[0], photos[0])
    http_table.print_health(health, HEALTH_CLIENTS)
    return {"wait": arguments.wait, "options": options, "photos": report, "health_ms": health}


def _warm_up(targets: list[Target], photos: list[Photo]) -> None:
    for target in targets:
        _print_progress(f"warming up {target.name}")
        with target.connect(1) as client:
            for photo in photos:
                client.remove(photo, FIRST_TIMEOUT_S)


# Measurements of the targets are interleaved, so that other load on the machine affects them equally.


def _measure_latency(
    targets: list[Target], photo: Photo, repeats: int, results: dict[str, Measurements]
) -> None:
    for number in range(repeats):
        for target in targets:
            _print_progress(f"{photo.name}, one client, {number + 1} of {repeats}: {target.name}")
            results[target.name].removals.append(run_one_client(target, photo))


def _measure_supervisor(
    server: Server, target: Target, photo: Photo, repeats: int, ours: Measurements
) -> None:
    """Measure the supervisor's processor time per removal, with a client on the event stream."""
    _print_progress(f"{photo.name}, processor time of the supervisor")
    with target.connect(1) as client:
        before_s = server.supervisor_cpu_s()  # a multiple of 10 ms: the mean over all removals is finer
        for _ in range(repeats):
            client.remove(photo)
        ours.supervisor_ms = (server.supervisor_cpu_s() - before_s) * 1000 / repeats


def _measure_throughput(
    targets: list[Target], photo: Photo, clients: int, results: dict[str, Measurements], server: Server
) -> None:
    images = max(IMAGES_PER_ROUND, clients)
    for target in targets:
        _print_progress(f"{photo.name}, {clients} clients: {target.name}")
        before_s = server.cpu_s()
        rate = run_clients(target, photo, clients, images)
        results[target.name].images_per_s.setdefault(clients, []).append(rate)
        if target is targets[0]:
            results[target.name].cpu_ms.append((server.cpu_s() - before_s) * 1000 / images)


def _measure_health(url: str, target: Target, photo: Photo) -> dict[str, float]:
    clients = HEALTH_CLIENTS
    _print_progress(f"health while {clients} clients upload {photo.name}")
    with poll_health(url) as latencies:
        run_clients(target, photo, clients, IMAGES_PER_ROUND * 2)
    ordered = sorted(latencies)
    p99 = ordered[round((len(ordered) - 1) * 0.99)]
    return {"asked": len(ordered), "p50": statistics.median(ordered), "p99": p99, "max": ordered[-1]}


def _to_report(photo: Photo, results: dict[str, Measurements]) -> dict[str, Any]:
    return {
        "width": photo.width,
        "height": photo.height,
        "jpeg_bytes": len(photo.jpeg),
        "sides": {
            name: {
                "median_latency_ms": result.latency_ms,
                "median_images_per_s": result.throughput,
                "stages_ms": result.stages_ms(),
                "median_around_network_ms": result.around_network_ms if name == "bgremove" else None,
                **asdict(result),
            }
            for name, result in results.items()
        },
        "ratios": http_table.ratios(results),
    }


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
