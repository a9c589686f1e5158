"""Tables of `bench.py http`: the measurements of each photo and whether the goals are met."""

import statistics

from benches.load_generator import Measurements
from benches.photos import LARGE, Photo
from benches.roofline import Goal, throughput_retention

SUPERVISOR_GOAL_MS = Goal(30)
AROUND_NETWORK_GOAL_MS = Goal(700)
# Of throughput with more clients to that with the fewest; less than 1 for the variance between rounds.
RETENTION_GOAL = Goal(0.95, at_least=True)


def ratios(results: dict[str, Measurements]) -> dict[str, float]:
    """Return how many times faster than rembg we are, with the most clients; empty without rembg."""
    if "rembg" not in results:
        return {}
    ours, theirs = results["bgremove"], results["rembg"]
    most = max(ours.throughput)
    return {
        "latency": theirs.latency_ms / ours.latency_ms,
        "images_per_s": ours.throughput[most] / theirs.throughput[most],
    }


def print_photo(photo: Photo, results: dict[str, Measurements]) -> None:
    """Print one photo's table, and our server's stages and processor time."""
    size = f"{photo.width} x {photo.height}, {len(photo.jpeg) / 1e6:.1f} MB"
    print(f"\n{photo.name} ({size})")
    clients = "".join(f"{f'{number} clients':>18}" for number in results["bgremove"].throughput)
    print(f"  {'':10}{'latency, median':>18}{'min .. max':>20}{'PNG':>10}{clients}")
    for name, result in results.items():
        times = [one.latency_ms for one in result.removals]
        spread = f"{min(times):.0f} .. {max(times):.0f} ms"
        png = f"{result.removals[0].png_bytes / 1e6:.1f} MB"
        rates = "".join(f"{f'{rate:.2f} images/s':>18}" for rate in result.throughput.values())
        print(f"  {name:10}{f'{result.latency_ms:.0f} ms':>18}{spread:>20}{png:>10}{rates}")
    if better := ratios(results):
        print(f"  ratio     latency {better['latency']:.1f} x, throughput {better['images_per_s']:.1f} x")
    _print_ours(photo, results["bgremove"])


def _print_ours(photo: Photo, ours: Measurements) -> None:
    stages = ours.stages_ms()
    print("  stages    " + "".join(f"{name:>18}" for name in stages))
    print("            " + "".join(f"{f'{value:.1f} ms':>18}" for value in stages.values()))
    has_goals = photo.name == LARGE
    supervisor_ms, around_ms = ours.supervisor_ms, ours.around_network_ms
    retention = throughput_retention(ours.throughput.values())
    _print_line("latency without inference", around_ms, "ms", AROUND_NETWORK_GOAL_MS if has_goals else None)
    _print_line(
        "processor time per image, supervisor", supervisor_ms, "ms", SUPERVISOR_GOAL_MS if has_goals else None
    )
    _print_line("processor time per image, all processes", statistics.median(ours.cpu_ms), "ms")
    if len(ours.throughput) > 1:
        _print_line("lowest throughput with more clients", retention, "x", RETENTION_GOAL)


def _print_line(name: str, value: float, unit: str, goal: Goal | None = None) -> None:
    print(f"  {name}: {value:.3g} {unit}{f' ({goal.describe(value, unit)})' if goal else ''}")


def print_health(health: dict[str, float], clients: int) -> None:
    """Print the latency of health checks under load."""
    times = ", ".join(f"{name} {health[name]:.1f} ms" for name in ("p50", "p99", "max"))
    print(f"\nhealth while {clients} clients upload {LARGE}: {times} ({health['asked']:.0f} requests)")
