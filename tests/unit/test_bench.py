"""Arithmetic and chart of the benchmarks: a wrong roofline would mislead optimisation."""

import argparse
import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benches import BenchFailed, checkpoints, plot
from benches.model_speed import summarise
from benches.roofline import (
    Goal,
    floor_s,
    machine_rate,
    memory_goal_gb,
    ratio_goal,
    shares,
    throughput_retention,
)
from benches.sleeping_actor import SleepingActor
from benches.sleeping_worker import SLEEP_FILE
from shared.messages import Finished, RemovalJob, WorkerConfig
from shared.options import RemovalOptions

SVG = "{http://www.w3.org/2000/svg}"
COMPONENTS = ("stage 0", "stage 1", "stage 2", "stage 3", "squeeze", "decoder 4", "decoder 1", "head")


def measurements(slow: float = 1.0) -> dict[str, Any]:
    """Return the record of a measuring process: three passes, one of them disturbed."""
    return {
        "times_s": {"eager": [4.0 * slow, 4.4 * slow, 9.0 * slow]},
        "rates": {"linear": [1.0e12, 0.5e12, 1.2e12], "convolution": [0.8e12, 0.8e12, 0.1e12]},
        "components_s": {name: [slow * 0.5, slow * 0.55, slow * 1.125] for name in COMPONENTS},
        "peak_bytes": 1_500_000_000,
        "device_bytes": None,
        "device_name": "",
        "threads": 2,
    }


def case(backbone: str, dtype: str, slow: float = 1.0) -> dict[str, Any]:
    """Return the report of one case."""
    asked = {"backbone": backbone, "dtype": dtype, "device": "cpu", "size": 1024, "folder": "/weights"}
    return summarise({**asked, "repeats": 3}, measurements(slow))


def drawn(cases: list[dict[str, Any]], machine: str = "some machine") -> ET.Element:
    """Draw the chart and parse its SVG."""
    return ET.fromstring(str(plot.draw(cases, machine)))  # noqa: S314  # our own output


def segments(picture: ET.Element) -> list[ET.Element]:
    """Return the segments of all bars, which are the rectangles with a tooltip."""
    return [box for box in picture.iter(f"{SVG}rect") if box.find(f"{SVG}title") is not None]


def test_the_floor_is_the_arithmetic_over_the_rate() -> None:
    """2.53 TFLOP at 1 TFLOP/s take 2.53 s; a quarter of the pixels, a quarter of that."""
    assert floor_s("swin_v1_l", 1024, 1024, 1e12) == pytest.approx(2.53)
    assert floor_s("swin_v1_l", 512, 512, 1e12) == pytest.approx(2.53 / 4)
    assert floor_s("swin_v1_t", 2048, 1024, 2e12) == pytest.approx(0.64)


def test_the_floor_uses_the_fastest_product() -> None:
    """Otherwise a network could be faster than its lower bound."""
    assert machine_rate({"linear": 3.0, "convolution": 5.0}) == 5.0


def test_a_disturbed_pass_does_not_change_the_ratio() -> None:
    """It compares medians: 4.4 s with 2.53 TFLOP at the linear layer's median of 1 TFLOP/s."""
    report = case("swin_v1_l", "bfloat16")
    assert report["median_s"] == 4.4
    assert report["min_s"] == 4.0
    assert report["ratio"] == pytest.approx(4.4 / 2.53)


def test_the_ratio_is_of_the_cuda_graph_if_there_is_one() -> None:
    """A worker runs it."""
    measured = measurements()
    measured["times_s"]["graph"] = [2.53, 2.53, 2.53]
    asked = {"backbone": "swin_v1_l", "dtype": "bfloat16", "device": "cuda", "size": 1024, "folder": "/w"}
    report = summarise(asked, measured)
    assert (report["kind"], report["ratio"]) == ("graph", pytest.approx(1.0))


def test_goals_are_upper_or_lower_bounds() -> None:
    """Times have upper bounds, throughput has lower ones."""
    assert Goal(2.0).describe(2.0) == "goal <= 2: met"
    assert Goal(1.5).describe(1.6, "s") == "goal <= 1.5 s: missed"
    assert Goal(0.95, at_least=True).describe(0.9) == "goal >= 0.95: missed"


@pytest.mark.parametrize(
    ("backbone", "dtype", "bound"),
    [
        ("swin_v1_l", "bfloat16", 2.0),
        ("swin_v1_t", "bfloat16", 3.0),
        ("swin_v1_l", "float32", 1.45),
        ("swin_v1_t", "float32", 1.9),
    ],
)
def test_each_network_has_its_own_goal(backbone: str, dtype: str, bound: float) -> None:
    """The small network has relatively more overhead."""
    assert ratio_goal(backbone, dtype, "cpu", 1024) == Goal(bound)
    assert ratio_goal(backbone, dtype, "cpu", 128) is None


def test_memory_goals_are_for_full_size_inputs() -> None:
    """A small input needs little memory."""
    assert memory_goal_gb("swin_v1_l", "bfloat16", "cpu", 1024) == Goal(2.0)
    assert memory_goal_gb("swin_v1_l", "bfloat16", "cpu", 128) is None


def test_throughput_retention_is_the_minimum_over_the_first() -> None:
    """The first is that of the fewest clients."""
    assert throughput_retention([1.0, 1.3, 0.8]) == pytest.approx(0.8)
    assert throughput_retention([2.0]) == 1.0


def test_shares_add_up_to_all_of_the_time() -> None:
    """The table accounts for the whole pass."""
    assert shares({"a": 1.0, "b": 3.0}) == {"a": 0.25, "b": 0.75}


def test_the_chart_has_a_segment_per_component_as_wide_as_its_time() -> None:
    """Bars of two cases share one scale, and segments neither overlap nor leave gaps."""
    cases = [case("swin_v1_l", "float32"), case("swin_v1_t", "float32", slow=0.5)]
    rects = segments(drawn(cases))
    assert len(rects) == 2 * len(COMPONENTS)
    places = [(float(rect.attrib["x"]), float(rect.attrib["width"])) for rect in rects]
    first = places[: len(COMPONENTS)]
    for (x, width), (following, _) in pairwise(first):
        assert x + width == pytest.approx(following, abs=0.2)
    assert places[0][1] == pytest.approx(2 * places[-1][1], abs=0.2)


def test_the_chart_is_labelled_and_fits_a_page() -> None:
    """Title, units, component names, dark colours; small enough for git."""
    picture = drawn([case(name, dtype) for name in ("swin_v1_l", "swin_v1_t") for dtype in ("a", "b")])
    texts = {text.text for text in picture.iter(f"{SVG}text")}
    assert {*COMPONENTS, "floor", "time of one pass, s", "0"} <= texts
    assert picture.findtext(f"{SVG}title")
    assert "prefers-color-scheme:dark" in (picture.findtext(f"{SVG}style") or "")
    assert len(ET.tostring(picture)) < 60_000
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    for box in picture.iter(f"{SVG}rect"):
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert float(box.attrib["y"]) + float(box.attrib["height"]) <= height


def test_a_machine_name_is_escaped() -> None:
    """It may contain XML's special characters."""
    name = 'A <fast> & "good" machine'
    assert name in {text.text for text in drawn([case("swin_v1_t", "float32")], name).iter(f"{SVG}text")}


def test_times_below_a_second_are_drawn_in_milliseconds() -> None:
    """Otherwise a GPU's bar would be labelled 0.015."""
    cases = [case("swin_v1_t", "float32", slow=0.003)]
    cases[0]["floor_s"] = 0.005
    texts = {text.text for text in drawn(cases).iter(f"{SVG}text")}
    assert "time of one pass, ms" in texts


@pytest.mark.parametrize("text", ["", "[]", '{"machine": {}}', '{"model": {"failed": "no torch"}}'])
def test_an_invalid_report_is_an_error(text: str, tmp_path: Path) -> None:
    """No traceback for a wrong argument, and no chart."""
    (tmp_path / "report.json").write_text(text)
    arguments = argparse.Namespace(report=tmp_path / "report.json", picture=tmp_path / "out.svg")
    with pytest.raises(BenchFailed, match="no report"):
        plot.run(arguments)
    assert not (tmp_path / "out.svg").exists()


def test_cached_seeded_weights_are_not_written_again(tmp_path: Path) -> None:
    """Drawing them takes seconds."""
    root = tmp_path / "models--seeded--swin_v1_t"
    (root / "snapshots" / "abc").mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc")
    (root / "snapshots" / "abc" / "model.safetensors").write_bytes(b"there")
    assert checkpoints.ensure_snapshot("swin_v1_t", tmp_path) == root / "snapshots" / "abc"
    assert (root / "snapshots" / "abc" / "model.safetensors").read_bytes() == b"there"


def test_the_sleeping_actor_answers_as_an_actor_does(tmp_path: Path) -> None:
    """It replaces the actor's constructor: an attribute that is added there would be missing."""
    (tmp_path / SLEEP_FILE).write_text("0.001")
    actor = SleepingActor(WorkerConfig("native", str(tmp_path), 100), "")
    job = RemovalJob("task", "", "", RemovalOptions())

    async def remove() -> list[Any]:
        assert (await actor.report()).model
        return await actor.remove(job, None, None, b"pho", b"to")

    end, result, *others = asyncio.run(remove())
    assert isinstance(end.event, Finished)
    assert (end.parts, result, set(others)) == (1, b"photo", {None})
