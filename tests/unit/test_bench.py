"""The bench's own arithmetic and picture: a wrong floor would mislead whoever optimises by it."""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benches import BenchFailed, checkpoints, plot
from benches.model_speed import summary
from benches.roofline import Goal, floor_s, holds, machine_rate, memory_goal_gb, ratio_goal, shares

SVG = "{http://www.w3.org/2000/svg}"
COMPONENTS = ("stage 0", "stage 1", "stage 2", "stage 3", "squeeze", "decoder 4", "decoder 1", "head")


def seen(slow: float = 1.0) -> dict[str, Any]:
    """Return what a measuring process tells: three passes, of which one was disturbed."""
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
    """Return one case's report."""
    asked = {"backbone": backbone, "dtype": dtype, "device": "cpu", "size": 1024, "folder": "/weights"}
    return summary({**asked, "repeats": 3}, seen(slow))


def drawn(cases: list[dict[str, Any]], where: str = "some machine") -> ET.Element:
    """Draw and read again as a viewer does."""
    return ET.fromstring(str(plot.drawing(cases, where)))  # noqa: S314  # our own text


def bars(picture: ET.Element) -> list[ET.Element]:
    """Return the pieces of all bars, which are the boxes with a hint."""
    return [box for box in picture.iter(f"{SVG}rect") if box.find(f"{SVG}title") is not None]


def test_the_floor_is_the_arithmetic_over_the_rate() -> None:
    """2.53 TFLOP at 1 TFLOP/s take 2.53 s; a quarter of the pixels, a quarter of that."""
    assert floor_s("swin_v1_l", 1024, 1024, 1e12) == pytest.approx(2.53)
    assert floor_s("swin_v1_l", 512, 512, 1e12) == pytest.approx(2.53 / 4)
    assert floor_s("swin_v1_t", 2048, 1024, 2e12) == pytest.approx(0.64)


def test_the_floor_goes_by_the_fastest_product() -> None:
    """Otherwise a network could be faster than its floor."""
    assert machine_rate({"linear": 3.0, "convolution": 5.0}) == 5.0


def test_a_disturbed_pass_does_not_change_the_ratio() -> None:
    """Medians are compared: 4.4 s with 2.53 TFLOP at the linear layer's median of 1 TFLOP/s."""
    report = case("swin_v1_l", "bfloat16")
    assert report["median_s"] == 4.4
    assert report["min_s"] == 4.0
    assert report["ratio"] == pytest.approx(4.4 / 2.53)


def test_a_graph_counts_where_there_is_one() -> None:
    """It is what a worker runs."""
    told = seen()
    told["times_s"]["graph"] = [2.53, 2.53, 2.53]
    asked = {"backbone": "swin_v1_l", "dtype": "bfloat16", "device": "cuda", "size": 1024, "folder": "/w"}
    report = summary(asked, told)
    assert (report["kind"], report["ratio"]) == ("graph", pytest.approx(1.0))


def test_goals_are_judged_on_the_right_side() -> None:
    """Times are to stay below, throughput is to stay above."""
    assert Goal(2.0).beside(2.0) == "goal <= 2: met"
    assert Goal(1.5).beside(1.6, "s") == "goal <= 1.5 s: missed"
    assert Goal(0.95, at_least=True).beside(0.9) == "goal >= 0.95: missed"


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
    """The small network has more around its products."""
    assert ratio_goal(backbone, dtype, "cpu", 1024) == Goal(bound)
    assert ratio_goal(backbone, dtype, "cpu", 128) is None


def test_memory_is_judged_for_whole_photos_alone() -> None:
    """A small input needs little, which proves nothing."""
    assert memory_goal_gb("swin_v1_l", "bfloat16", "cpu", 1024) == Goal(2.0)
    assert memory_goal_gb("swin_v1_l", "bfloat16", "cpu", 128) is None


def test_throughput_holds_when_no_number_of_clients_is_slower_than_the_fewest() -> None:
    """The worst of them counts."""
    assert holds([1.0, 1.3, 0.8]) == pytest.approx(0.8)
    assert holds([2.0]) == 1.0


def test_shares_add_up_to_all_of_the_time() -> None:
    """Nobody looks for time that a table hides."""
    assert shares({"a": 1.0, "b": 3.0}) == {"a": 0.25, "b": 0.75}


def test_the_picture_has_a_piece_for_each_component_as_long_as_its_time() -> None:
    """Bars of two cases share one scale, and pieces neither overlap nor leave gaps."""
    cases = [case("swin_v1_l", "float32"), case("swin_v1_t", "float32", slow=0.5)]
    pieces = bars(drawn(cases))
    assert len(pieces) == 2 * len(COMPONENTS)
    places = [(float(piece.attrib["x"]), float(piece.attrib["width"])) for piece in pieces]
    first = places[: len(COMPONENTS)]
    for (x, width), (following, _) in pairwise(first):
        assert x + width == pytest.approx(following, abs=0.2)
    assert places[0][1] == pytest.approx(2 * places[-1][1], abs=0.2)


def test_the_picture_says_what_it_shows_and_fits_a_page() -> None:
    """A title, units, every component's name, colours for dark pages; small enough to be kept in git."""
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


def test_a_machine_may_have_any_name() -> None:
    """Signs that mean something in XML are written as such."""
    name = 'A <fast> & "good" machine'
    assert name in {text.text for text in drawn([case("swin_v1_t", "float32")], name).iter(f"{SVG}text")}


def test_times_below_a_second_are_drawn_in_milliseconds() -> None:
    """A GPU's bar would otherwise be labelled 0.015."""
    cases = [case("swin_v1_t", "float32", slow=0.003)]
    cases[0]["floor_s"] = 0.005
    texts = {text.text for text in drawn(cases).iter(f"{SVG}text")}
    assert "time of one pass, ms" in texts


@pytest.mark.parametrize("text", ["", "[]", '{"machine": {}}', '{"model": {"failed": "no torch"}}'])
def test_a_file_that_is_no_report_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    """No traceback for a wrong argument, and no picture."""
    (tmp_path / "report.json").write_text(text)
    arguments = argparse.Namespace(report=tmp_path / "report.json", picture=tmp_path / "out.svg")
    with pytest.raises(BenchFailed, match="no report"):
        plot.run(arguments)
    assert not (tmp_path / "out.svg").exists()


def test_seeded_weights_that_are_there_are_not_written_again(tmp_path: Path) -> None:
    """They take some seconds, and must not differ between two runs."""
    root = tmp_path / "models--seeded--swin_v1_t"
    (root / "snapshots" / "abc").mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc")
    (root / "snapshots" / "abc" / "model.safetensors").write_bytes(b"there")
    assert checkpoints.snapshot("swin_v1_t", tmp_path) == root / "snapshots" / "abc"
    assert (root / "snapshots" / "abc" / "model.safetensors").read_bytes() == b"there"
