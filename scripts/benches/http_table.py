"""What `bench.py http` prints: what was seen of each photo, beside the goals."""

import statistics

from benches.load import Measured
from benches.photos import LARGE, Photo
from benches.roofline import Goal, holds

SUPERVISOR_GOAL_MS = Goal(30)
AROUND_NETWORK_GOAL_MS = Goal(700)
# Throughput with more clients, beside that with the fewest. A few rounds differ by that much by themselves.
HOLDING_GOAL = Goal(0.95, at_least=True)


def ratios(measured: dict[str, Measured]) -> dict[str, float]:
    """Return how many times better we are, at most clients; empty without anyone to compare with."""
    if "rembg" not in measured:
        return {}
    ours, theirs = measured["bgremove"], measured["rembg"]
    most = max(ours.throughput)
    return {
        "latency": theirs.latency_ms / ours.latency_ms,
        "images_per_s": ours.throughput[most] / theirs.throughput[most],
    }


def print_photo(photo: Photo, measured: dict[str, Measured]) -> None:
    """Print one photo's table, and what our server spent on it."""
    size = f"{photo.width} x {photo.height}, {len(photo.jpeg) / 1e6:.1f} MB"
    print(f"\n{photo.name} ({size})")
    clients = "".join(f"{f'{number} at once':>18}" for number in measured["bgremove"].throughput)
    print(f"  {'':10}{'latency, median':>18}{'min .. max':>20}{'PNG':>10}{clients}")
    for name, seen in measured.items():
        times = [one.latency_ms for one in seen.removals]
        spread = f"{min(times):.0f} .. {max(times):.0f} ms"
        png = f"{seen.removals[0].png_bytes / 1e6:.1f} MB"
        rates = "".join(f"{f'{rate:.2f} images/s':>18}" for rate in seen.throughput.values())
        print(f"  {name:10}{f'{seen.latency_ms:.0f} ms':>18}{spread:>20}{png:>10}{rates}")
    if better := ratios(measured):
        print(f"  ratio     latency {better['latency']:.1f} x, throughput {better['images_per_s']:.1f} x")
    _print_ours(photo, measured["bgremove"])


def _print_ours(photo: Photo, ours: Measured) -> None:
    stages = ours.stages_ms()
    print("  stages    " + "".join(f"{name:>18}" for name in stages))
    print("            " + "".join(f"{f'{value:.1f} ms':>18}" for value in stages.values()))
    is_large = photo.name == LARGE  # what the goals are for
    share_ms, around_ms = ours.supervisor_ms, ours.around_network_ms
    held = holds(ours.throughput.values())
    _line("everything but the network", around_ms, "ms", AROUND_NETWORK_GOAL_MS if is_large else None)
    _line("the supervisor's processor time a photo", share_ms, "ms", SUPERVISOR_GOAL_MS if is_large else None)
    _line("all processes' processor time a photo", statistics.median(ours.cpu_ms), "ms")
    if len(ours.throughput) > 1:
        _line("least throughput with more clients", held, "x", HOLDING_GOAL)


def _line(name: str, value: float, unit: str, goal: Goal | None = None) -> None:
    print(f"  {name}: {value:.3g} {unit}{f' ({goal.beside(value, unit)})' if goal else ''}")


def print_health(health: dict[str, float], clients: int) -> None:
    """Print how quickly the server answered under load."""
    times = ", ".join(f"{name} {health[name]:.1f} ms" for name in ("p50", "p99", "max"))
    print(f"\nhealth while {clients} clients send {LARGE}: {times} ({health['asked']:.0f} times asked)")
