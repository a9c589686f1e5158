"""`bench.py plot`: bar chart of BiRefNet's time by component, from a JSON report of `model` or `all`."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from benches import BenchFailed
from benches.svg import Drawing

WIDTH, LEFT, RIGHT = 860, 150, 150
TOP, BAR, GAP, FOOT = 108, 30, 22, 52
LEGEND_ITEM, LEGEND_LINE = 92, 20
TICKS = 6
# Blue: encoder, violet: squeeze, orange: decoder, green: head; each for a light and a dark background.
COLOURS = (
    ("#08519c", "#2f6fb5"),
    ("#2b7bba", "#4f94d4"),
    ("#5ea3d0", "#7db4e6"),
    ("#9dc8e4", "#b3d6f5"),
    ("#6a51a3", "#9b86d1"),
    ("#8c3d04", "#b5651d"),
    ("#cc5a02", "#dd7f2e"),
    ("#f08a33", "#f0a35e"),
    ("#fcb97d", "#f8cb9c"),
    ("#31865a", "#58b583"),
)


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `plot`."""
    parser.add_argument("report", type=Path, help="JSON report to draw")
    parser.add_argument("picture", type=Path, help="SVG file to write")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Draw the chart. Raises BenchFailed."""
    try:
        report = json.loads(arguments.report.read_text())
        draw(report["model"]["cases"], _describe_machine(report)).write(arguments.picture)
    except (KeyError, ValueError, TypeError) as error:
        raise BenchFailed(f"{arguments.report} is no report of `bench.py model`.") from error
    except OSError as error:
        raise BenchFailed(str(error)) from error
    return {}


def draw(cases: list[dict[str, Any]], machine: str) -> Drawing:
    """Return a chart with one bar per case, its segments in order of execution.

    Raises ValueError without cases.
    """
    if not cases:
        raise ValueError("no cases")
    names = list(cases[0]["median_components_s"])
    longest_s = max(max(_total_s(case), case["floor_s"]) for case in cases)
    unit, factor = ("s", 1.0) if longest_s >= 1 else ("ms", 1000.0)
    step = _axis_step(longest_s * factor / TICKS)
    end = math.ceil(longest_s * factor / step) * step
    bottom = TOP + len(cases) * (BAR + GAP)
    title = f"BiRefNet: time of one pass by component, in {unit}"
    chart = Drawing(WIDTH, bottom + FOOT, title, make_style())
    chart.text(LEFT, 28, title, "heading")
    chart.text(LEFT, 46, machine, "note")
    _draw_legend(chart, names)
    scale = (WIDTH - LEFT - RIGHT) / end
    for number in range(round(end / step) + 1):
        x = LEFT + number * step * scale
        chart.line((x, TOP - 8), (x, bottom - GAP + 8), "grid")
        chart.text(x, bottom + 6, f"{number * step:g}", "middle")
    chart.text(LEFT + end * scale / 2, bottom + 26, f"time of one pass, {unit}", "middle")
    for number, case in enumerate(cases):
        _draw_bar(chart, TOP + number * (BAR + GAP), case, scale * factor, (unit, factor))
    return chart


def make_style() -> str:
    """Return the style sheet, with light and dark colours (prefers-color-scheme)."""
    rules = [
        "text{font:12px system-ui,sans-serif}.heading{font-size:16px;font-weight:600}.note{font-size:11px}",
        ".middle{text-anchor:middle}.end{text-anchor:end}.floor{stroke-width:2.5}",
    ]
    shades = (("#fff", "#1b1f24", "#57606a", "#d8dee4"), ("#0d1117", "#e6edf3", "#9ea7b3", "#30363d"))
    for number, (ground, ink, note, grid) in enumerate(shades):
        segments = "".join(f".c{index}{{fill:{pair[number]}}}" for index, pair in enumerate(COLOURS))
        plain = f".ground{{fill:{ground}}}text{{fill:{ink}}}.note{{fill:{note}}}.grid{{stroke:{grid}}}"
        rule = f"{plain}.floor{{stroke:{ink}}}{segments}"
        rules.append(f"@media (prefers-color-scheme:dark){{{rule}}}" if number else rule)
    return "\n".join(rules)


def _draw_legend(chart: Drawing, names: list[str]) -> None:
    half = math.ceil((len(names) + 1) / 2)
    for number, name in enumerate([*names, "floor"]):
        line, column = divmod(number, half)
        x, y = LEFT + column * LEGEND_ITEM, 60 + line * LEGEND_LINE
        if number < len(names):
            chart.box(x, y, 11, 11, _colour(number))
        else:
            chart.line((x + 5, y - 1), (x + 5, y + 12), "floor")
        chart.text(x + 16, y + 10, name)


def _draw_bar(
    chart: Drawing, y: float, case: dict[str, Any], pixels_per_s: float, scale: tuple[str, float]
) -> None:
    unit, factor = scale
    chart.text(LEFT - 10, y + 13, case["backbone"], "label end")
    variant = f"{case['dtype']}, {case['size']} x {case['size']}"
    chart.text(LEFT - 10, y + 27, variant, "note end")
    x = float(LEFT)
    for number, (name, seconds) in enumerate(case["median_components_s"].items()):
        width = seconds * pixels_per_s
        chart.box(x, y, width, BAR, _colour(number), f"{name}: {seconds * factor:.3g} {unit}")
        x += width
    floor = LEFT + case["floor_s"] * pixels_per_s
    chart.line((floor, y - 5), (floor, y + BAR + 5), "floor")
    label_x = max(x, floor) + 8
    chart.text(label_x, y + 13, f"{_total_s(case) * factor:.3g} {unit}")
    chart.text(label_x, y + 27, f"{case['ratio']:.2f} x the floor", "note")


def _colour(number: int) -> str:
    return f"c{number % len(COLOURS)}"


def _total_s(case: dict[str, Any]) -> float:
    return float(sum(case["median_components_s"].values()))


def _axis_step(minimum: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20 ... that is at least `minimum`."""
    power = 10.0 ** math.floor(math.log10(minimum))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= minimum)


def _describe_machine(report: dict[str, Any]) -> str:
    """Return the device and the PyTorch version of a report."""
    machine, cases = report["machine"], report["model"]["cases"]
    devices = {case["seen"]["device_name"] for case in cases} - {""}
    amx = ", AMX" if any(flag.startswith("amx") for flag in machine["flags"]) else ""
    processor = f"{machine['processor']}, {machine['cores']} cores{amx}"
    torch = machine["packages"].get("torch", "")
    return f"{', '.join(sorted(devices)) or processor}; PyTorch {torch}; floor: arithmetic at the GEMM rate"
