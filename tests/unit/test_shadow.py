"""Shadows: where they fall, how soft they are."""

from typing import Any

import numpy as np
import pytest

from shared.options import RemovalOptions
from worker.imaging.geometry import Box, Pixels
from worker.imaging.shadow import find_shadow_extent, render_shadow

BOX = Box(150, 100, 100, 200)


def square(scale: int = 1) -> Pixels:
    """Return the matte of an opaque rectangle."""
    alpha: Pixels = np.zeros((400 * scale, 400 * scale), np.uint8)
    left, top, right, bottom = (side * scale for side in BOX.corners)
    alpha[top:bottom, left:right] = 255
    return alpha


def render(scale: int = 1, **options: Any) -> Pixels:
    """Return the shadow of the rectangle."""
    box = Box(*(side * scale for side in BOX))
    return render_shadow(square(scale), box, RemovalOptions(**options))


def marked(opacity: Pixels, least: int = 64) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what has at least that opacity."""
    down, across = np.nonzero(opacity >= least)
    return int(across.min()), int(down.min()), int(across.max()) + 1, int(down.max()) + 1


@pytest.mark.parametrize("offset", ["10 20", "-10px 20px", "10% 10%", "-40% -5%"])
def test_a_drop_shadow_is_the_shifted_silhouette(offset: str) -> None:
    """Right and down; percentages are of the subject's sides."""
    across, down = {"10 20": (10, 20), "-10px 20px": (-10, 20), "10% 10%": (10, 20)}.get(offset, (-40, -10))
    opacity = render(shadow="drop", shadow_offset=offset, shadow_blur="0", shadow_opacity=100)
    left, top, right, bottom = BOX.corners
    assert marked(opacity) == (left + across, top + down, right + across, bottom + down)
    assert set(np.unique(opacity)) == {0, 255}


@pytest.mark.parametrize("percent", [0, 30, 50, 100])
def test_the_opacity_is_a_percentage(percent: int) -> None:
    """Of a fully opaque colour."""
    for kind in ("drop", "ground"):
        opacity = render(shadow=kind, shadow_blur="0", shadow_opacity=percent)
        assert opacity.max() == round(255 * percent / 100)


def test_a_blur_softens_the_edge() -> None:
    """A radius is the standard deviation of a Gaussian blur."""
    hard = render(shadow="drop", shadow_offset="0 0", shadow_blur="0", shadow_opacity=100)
    soft = render(shadow="drop", shadow_offset="0 0", shadow_blur="10px", shadow_opacity=100)
    row = soft[200].astype(int)
    assert row[150] == pytest.approx(128, abs=6), "half at the edge"
    assert row[140] == pytest.approx(255 * 0.16, abs=8), "one standard deviation outside"
    assert row[160] == pytest.approx(255 * 0.84, abs=8)
    assert soft.sum(dtype=int) == pytest.approx(hard.sum(dtype=int), rel=0.02)


def test_a_blur_in_percent_is_of_the_longer_side() -> None:
    """The same picture at another size has the same shadow."""
    assert np.array_equal(render(shadow="drop", shadow_blur="5%"), render(shadow="drop", shadow_blur="10px"))


@pytest.mark.parametrize("kind", ["drop", "ground"])
def test_a_large_result_has_the_same_shadow(kind: str) -> None:
    """It is computed at a reduced size, which must not move it."""
    small, large = render(shadow=kind), render(scale=6, shadow=kind)
    reduced = large.reshape(400, 6, 400, 6).mean(axis=(1, 3))
    assert np.abs(reduced - small).mean() < 0.5
    assert np.abs(reduced - small).max() < 40


def test_a_ground_shadow_is_flat_and_stands_at_the_foot() -> None:
    """As cast on a floor behind the subject."""
    opacity = render(shadow="ground", shadow_offset="0 0", shadow_blur="0", shadow_opacity=100)
    left, top, right, bottom = marked(opacity, 128)
    assert bottom == pytest.approx(300, abs=1)
    assert (left, right) == (150, 250)
    assert 40 < bottom - top < 70, "about a quarter of the subject's 200"


def test_faint_specks_below_the_subject_do_not_move_its_ground_shadow() -> None:
    """A network leaves such specks on busy photos; the box contains them."""
    alpha = square()
    alpha[330:334, 200:204] = 30
    options = RemovalOptions(shadow="ground", shadow_offset="0 0", shadow_blur="0", shadow_opacity=100)
    opacity = render_shadow(alpha, Box(150, 100, 100, 234), options)
    assert marked(opacity, 128)[3] == pytest.approx(300, abs=1)


def test_a_ground_shadow_leans_at_its_far_end() -> None:
    """The foot stays where the subject stands."""
    opacity = render(shadow="ground", shadow_offset="60 0", shadow_blur="0", shadow_opacity=100)
    foot, far = np.flatnonzero(opacity[297] > 127), np.flatnonzero(opacity[248] > 127)
    assert foot.min() == pytest.approx(150, abs=5)
    assert far.min() > 190


def test_a_ground_shadow_is_softer_in_the_distance() -> None:
    """The rise from 10 % to 90 % takes more pixels."""
    opacity = render(shadow="ground", shadow_offset="0 0", shadow_blur="6px", shadow_opacity=100)

    def softness(row: int) -> int:
        values = opacity[row].astype(int)
        peak = int(values.max())
        return int(np.count_nonzero((values > peak * 0.1) & (values < peak * 0.9)))

    assert softness(260) > 1.5 * softness(292)


@pytest.mark.parametrize("kind", ["drop", "ground"])
@pytest.mark.parametrize("offset", ["0 0", "30 20", "-30 -20"])
def test_the_extent_contains_the_shadow(kind: str, offset: str) -> None:
    """A crop keeps it whole."""
    options: dict[str, Any] = {"shadow": kind, "shadow_offset": offset, "shadow_blur": "8px"}
    extent = find_shadow_extent(BOX, RemovalOptions(**options))
    left, top, right, bottom = marked(render(**options), 2)
    assert extent.left <= left
    assert extent.top <= top
    assert extent.corners[2] >= right
    assert extent.corners[3] >= bottom
    assert extent.intersect(BOX) == BOX
