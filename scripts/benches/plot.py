"""`bench.py plot`: BiRefNet's time by component drawn, from what `model` or `all` wrote as JSON."""

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
# The encoder's blues, the squeeze, the decoder's oranges, the head; each on light and on dark.
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
    """Give `plot` its arguments."""
    parser.add_argument("report", type=Path, help="the JSON to draw")
    parser.add_argument("picture", type=Path, help="the SVG to write")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Draw the picture. Raises BenchFailed."""
    try:
        report = json.loads(arguments.report.read_text())
        drawing(report["model"]["cases"], _where(report)).write(arguments.picture)
    except (KeyError, ValueError, TypeError) as error:
        raise BenchFailed(f"{arguments.report} holds no report of `bench.py model`.") from error
    except OSError as error:
        raise BenchFailed(str(error)) from error
    return {}


def drawing(cases: list[dict[str, Any]], where: str) -> Drawing:
    """Return the picture of these cases, one bar each, its pieces in the order of a pass.

    Raises ValueError where there is none.
    """
    if not cases:
        raise ValueError("no cases")
    names = list(cases[0]["median_components_s"])
    longest_s = max(max(_total_s(case), case["floor_s"]) for case in cases)
    unit, factor = ("s", 1.0) if longest_s >= 1 else ("ms", 1000.0)
    step = _step(longest_s * factor / TICKS)
    end = math.ceil(longest_s * factor / step) * step
    bottom = TOP + len(cases) * (BAR + GAP)
    title = f"BiRefNet: time of one pass by component, in {unit}"
    picture = Drawing(WIDTH, bottom + FOOT, title, style())
    picture.text(LEFT, 28, title, "heading")
    picture.text(LEFT, 46, where, "note")
    _legend(picture, names)
    scale = (WIDTH - LEFT - RIGHT) / end
    for number in range(round(end / step) + 1):
        x = LEFT + number * step * scale
        picture.line((x, TOP - 8), (x, bottom - GAP + 8), "grid")
        picture.text(x, bottom + 6, f"{number * step:g}", "middle")
    picture.text(LEFT + end * scale / 2, bottom + 26, f"time of one pass, {unit}", "middle")
    for number, case in enumerate(cases):
        _bar(picture, TOP + number * (BAR + GAP), case, scale * factor, (unit, factor))
    return picture


def style() -> str:
    """Return the style sheet: colours for light, and for dark where the reader prefers it."""
    rules = [
        "text{font:12px system-ui,sans-serif}.heading{font-size:16px;font-weight:600}.note{font-size:11px}",
        ".middle{text-anchor:middle}.end{text-anchor:end}.floor{stroke-width:2.5}",
    ]
    shades = (("#fff", "#1b1f24", "#57606a", "#d8dee4"), ("#0d1117", "#e6edf3", "#9ea7b3", "#30363d"))
    for number, (ground, ink, note, grid) in enumerate(shades):
        pieces = "".join(f".c{place}{{fill:{pair[number]}}}" for place, pair in enumerate(COLOURS))
        plain = f".ground{{fill:{ground}}}text{{fill:{ink}}}.note{{fill:{note}}}.grid{{stroke:{grid}}}"
        rule = f"{plain}.floor{{stroke:{ink}}}{pieces}"
        rules.append(f"@media (prefers-color-scheme:dark){{{rule}}}" if number else rule)
    return "\n".join(rules)


def _legend(picture: Drawing, names: list[str]) -> None:
    half = math.ceil((len(names) + 1) / 2)
    for number, name in enumerate([*names, "floor"]):
        line, column = divmod(number, half)
        x, y = LEFT + column * LEGEND_ITEM, 60 + line * LEGEND_LINE
        if number < len(names):
            picture.box(x, y, 11, 11, _colour(number))
        else:
            picture.line((x + 5, y - 1), (x + 5, y + 12), "floor")
        picture.text(x + 16, y + 10, name)


def _bar(
    picture: Drawing, y: float, case: dict[str, Any], pixels_a_s: float, shown: tuple[str, float]
) -> None:
    unit, factor = shown
    picture.text(LEFT - 10, y + 13, case["backbone"], "label end")
    about = f"{case['dtype']}, {case['size']} x {case['size']}"
    picture.text(LEFT - 10, y + 27, about, "note end")
    x = float(LEFT)
    for number, (name, seconds) in enumerate(case["median_components_s"].items()):
        width = seconds * pixels_a_s
        picture.box(x, y, width, BAR, _colour(number), f"{name}: {seconds * factor:.3g} {unit}")
        x += width
    floor = LEFT + case["floor_s"] * pixels_a_s
    picture.line((floor, y - 5), (floor, y + BAR + 5), "floor")
    beside = max(x, floor) + 8
    picture.text(beside, y + 13, f"{_total_s(case) * factor:.3g} {unit}")
    picture.text(beside, y + 27, f"{case['ratio']:.2f} x the floor", "note")


def _colour(number: int) -> str:
    return f"c{number % len(COLOURS)}"


def _total_s(case: dict[str, Any]) -> float:
    return float(sum(case["median_components_s"].values()))


def _step(least: float) -> float:
    """Return the next of 1, 2, 5, 10, 20 ... that is `least` or more."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def _where(report: dict[str, Any]) -> str:
    """Return on what machine the report was made."""
    machine, cases = report["machine"], report["model"]["cases"]
    devices = {case["seen"]["device_name"] for case in cases} - {""}
    amx = ", AMX" if any(flag.startswith("amx") for flag in machine["flags"]) else ""
    here = f"{machine['processor']}, {machine['cores']} cores{amx}"
    torch = machine["packages"].get("torch", "")
    return f"{', '.join(sorted(devices)) or here}; PyTorch {torch}; the floor is the arithmetic alone"
