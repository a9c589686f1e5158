"""`bench.py model`: time and memory of BiRefNet's forward pass, compared with its roofline estimate."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from benches import ROOT, BenchFailed, checkpoints, machine, positive_int, roofline

REPEATS = 3
SIZE = 1024
STRIDE = 32  # the network's sides are multiples of it


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `model`."""
    names = sorted(roofline.TFLOP, reverse=True)
    parser.add_argument(
        "--backbone", nargs="+", choices=names, default=names, help="backbones to measure (default: both)"
    )
    parser.add_argument(
        "--dtype",
        nargs="+",
        choices=("float32", "bfloat16", "float16"),
        help="dtypes to measure (default: float32, and bfloat16 where the hardware supports it)",
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="device to measure on (default: cpu)"
    )
    parser.add_argument(
        "--size", type=_parse_side, default=SIZE, help="side of the input in pixels (default 1024)"
    )
    parser.add_argument(
        "--repeats", type=positive_int, default=REPEATS, help="passes per network and dtype (default 3)"
    )
    checkpoints.add_folder_to(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every backbone in every dtype, print tables and return the reports. Raises BenchFailed."""
    reports = []
    on_gpu = arguments.device == "cuda"
    dtypes = arguments.dtype or ["float32", *["bfloat16"] * (on_gpu or machine.supports_bfloat16())]
    for backbone in arguments.backbone:
        folder = checkpoints.ensure_snapshot(backbone, arguments.weights)
        for dtype in dtypes:
            case = {
                "backbone": backbone,
                "dtype": dtype,
                "device": arguments.device,
                "size": arguments.size,
                "repeats": arguments.repeats,
                "folder": str(folder),
            }
            print(f"{backbone}, {dtype}: {arguments.repeats} passes", file=sys.stderr, flush=True)
            report = summarise(case, _measure(case))
            print_case(report)
            reports.append(report)
    return {"cases": reports}


def summarise(case: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """Return the case and its measurements, with medians, the floor and the ratio to it."""
    kind, times_s = list(seen["times_s"].items())[-1]  # as in a worker
    rates = {name: statistics.median(values) for name, values in seen["rates"].items()}
    size, median_s = case["size"], statistics.median(times_s)
    floor_s = roofline.floor_s(case["backbone"], size, size, roofline.machine_rate(rates))
    return {
        **{name: value for name, value in case.items() if name != "folder"},
        "kind": kind,
        "median_s": median_s,
        "min_s": min(times_s),
        "median_rates": rates,
        "floor_s": floor_s,
        "ratio": median_s / floor_s,
        "median_components_s": {
            name: statistics.median(values) for name, values in seen["components_s"].items()
        },
        "seen": seen,
    }


def print_case(report: dict[str, Any]) -> None:
    """Print the table of one case."""
    backbone, dtype, device, size = (report[name] for name in ("backbone", "dtype", "device", "size"))
    seen = report["seen"]
    where = seen["device_name"] or f"{seen['threads']} threads"
    print(f"\n{backbone}, {dtype}, {size} x {size}, {device} ({where})")
    rates = ", ".join(f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in report["median_rates"].items())
    _print_line("GEMM rate", rates)
    for kind, times_s in seen["times_s"].items():
        text = f"median {_format_time(statistics.median(times_s))}, min {_format_time(min(times_s))}"
        goal = roofline.time_goal_s(backbone, device, size) if kind == report["kind"] else None
        _print_line(f"time, {kind}", text, goal, report["median_s"])
    text = f"{report['ratio']:.2f} x the floor of {_format_time(report['floor_s'])}"
    _print_line("ratio", text, roofline.ratio_goal(backbone, dtype, device, size), report["ratio"])
    _print_memory(report)
    for name, share in roofline.shares(report["median_components_s"]).items():
        print(f"    {name:12}{_format_time(report['median_components_s'][name]):>10}{share:>8.1%}")


def _print_memory(report: dict[str, Any]) -> None:
    goal = roofline.memory_goal_gb(*(report[name] for name in ("backbone", "dtype", "device", "size")))
    host, on_device = (report["seen"][name] for name in ("peak_bytes", "device_bytes"))
    if on_device is not None:
        _print_line("GPU memory", f"{on_device / 1e9:.2f} GB", goal, on_device / 1e9)
        goal = None
    if host is not None:
        _print_line("memory", f"{host / 1e9:.2f} GB at peak, beyond torch itself", goal, host / 1e9)


def _print_line(name: str, text: str, goal: roofline.Goal | None = None, value: float = 0) -> None:
    """Print a line; `value` is compared with the goal."""
    print(f"  {name:14}{text}{f' ({goal.describe(value)})' if goal else ''}")


def _format_time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _measure(case: dict[str, Any]) -> dict[str, Any]:
    paths = (str(ROOT / "scripts"), str(ROOT), os.environ.get("PYTHONPATH", ""))
    done = subprocess.run(
        [sys.executable, "-m", "benches.network_speed", json.dumps(case)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise BenchFailed("The network could not be measured; the reason is printed above.")
    measurements: dict[str, Any] = json.loads(done.stdout)
    return measurements


def _parse_side(text: str) -> int:
    side = positive_int(text)
    if side % STRIDE:
        raise argparse.ArgumentTypeError(f"must be a multiple of {STRIDE}")
    return side
