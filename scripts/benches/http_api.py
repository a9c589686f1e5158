"""`bench.py http`: what a client of the API gets, on one machine, optionally beside a server of rembg's."""

import argparse
import statistics
import sys
from dataclasses import asdict
from typing import Any

import httpx2

from benches import BenchFailed, load, photos, private_server
from benches.clients import FETCH_TIMEOUT_S
from benches.load import Measured, Side
from benches.photos import Photo
from benches.private_server import Server

CLIENTS = 4
IMAGES_PER_ROUND = 8
ROUNDS = 2
REPEATS = 7


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Give `http` its arguments."""
    parser = subparsers.add_parser("http", help="removals over HTTP: latency, throughput, health under load")
    parser.add_argument(
        "--repeats", type=_positive, default=REPEATS, help="removals by one client (default 7)"
    )
    parser.add_argument(
        "--rounds", type=_positive, default=ROUNDS, help="rounds of 8 photos by 4 clients (default 2)"
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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, print a table, and return everything that was seen. Raises BenchFailed."""
    try:
        return _run(arguments)
    except httpx2.HTTPError as error:
        raise BenchFailed(f"A server cannot be used: {error}") from error


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    pictures = photos.standard()
    with private_server.running() as server:
        sides = load.sides(server.url, arguments.against, by_stream=arguments.wait == "stream")
        _warm_up(sides, pictures)
        report = {}
        for photo in pictures:
            measured = {side.name: Measured() for side in sides}
            _measure_latency(sides, photo, arguments.repeats, measured)
            _measure_throughput(sides, photo, arguments.rounds, measured, server)
            _print_photo(photo, measured)
            report[photo.name] = _facts(photo, measured)
        health = _health_under_load(server.url, sides[0], pictures[0])
    _print_health(health)
    return {"wait": arguments.wait, "photos": report, "health_ms": health}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


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


def _measure_throughput(
    sides: list[Side], photo: Photo, rounds: int, measured: dict[str, Measured], server: Server
) -> None:
    for number in range(rounds):
        for side in sides:
            _progress(f"{photo.name}, {CLIENTS} clients, {number + 1} of {rounds}: {side.name}")
            before_s = server.cpu_s()
            rate = load.several_clients(side, photo, CLIENTS, IMAGES_PER_ROUND)
            measured[side.name].images_per_s.append(rate)
            if side is sides[0]:
                spent_s = server.cpu_s() - before_s
                measured[side.name].cpu_ms.append(spent_s * 1000 / IMAGES_PER_ROUND)


def _health_under_load(url: str, side: Side, photo: Photo) -> dict[str, float]:
    _progress(f"health while {CLIENTS} clients send {photo.name}")
    with load.asking_for_health(url) as latencies:
        load.several_clients(side, photo, CLIENTS, IMAGES_PER_ROUND * 2)
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
                **asdict(seen),
            }
            for name, seen in measured.items()
        },
        "ratios": _ratios(measured),
    }


def _ratios(measured: dict[str, Measured]) -> dict[str, float]:
    """Return how many times better we are; empty without anyone to compare with."""
    if "rembg" not in measured:
        return {}
    ours, theirs = measured["bgremove"], measured["rembg"]
    return {
        "latency": theirs.latency_ms / ours.latency_ms,
        "images_per_s": ours.throughput / theirs.throughput,
    }


def _print_photo(photo: Photo, measured: dict[str, Measured]) -> None:
    size = f"{photo.width} x {photo.height}, {len(photo.jpeg) / 1e6:.1f} MB"
    print(f"\n{photo.name} ({size})")
    print(f"  {'':10}{'latency, median':>18}{'min .. max':>20}{f'{CLIENTS} clients':>18}{'PNG':>10}")
    for name, seen in measured.items():
        times = [one.latency_ms for one in seen.removals]
        spread = f"{min(times):.0f} .. {max(times):.0f} ms"
        png = f"{seen.removals[0].png_bytes / 1e6:.1f} MB"
        rate = f"{seen.throughput:.2f} images/s"
        print(f"  {name:10}{f'{seen.latency_ms:.0f} ms':>18}{spread:>20}{rate:>18}{png:>10}")
    if ratios := _ratios(measured):
        ours = (f"{ratios[name]:.1f} x" for name in ("latency", "images_per_s"))
        print("  {:10}{:>18}{:>38}".format("ratio", *ours))
    stages = measured["bgremove"].stages_ms()
    print("  stages    " + "".join(f"{name:>18}" for name in stages))
    print("            " + "".join(f"{f'{value:.1f} ms':>18}" for value in stages.values()))
    print(f"  our server's processor time: {statistics.median(measured['bgremove'].cpu_ms):.0f} ms a photo")


def _print_health(health: dict[str, float]) -> None:
    times = ", ".join(f"{name} {health[name]:.1f} ms" for name in ("p50", "p99", "max"))
    print(f"\nhealth while {CLIENTS} clients send 12 MP: {times} ({health['asked']:.0f} times asked)")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
