"""At which size a network sees a photo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog import fit_input_size

SIDES = range(256, 2304 + 1, 32)


@pytest.mark.parametrize(
    ("photo", "seen"),
    [
        ((1024, 768), (1024, 768)),
        ((1000, 700), (992, 704)),
        ((4000, 3000), (2304, 1728)),
        ((3000, 4000), (1728, 2304)),
        ((100, 200), (256, 512)),
        ((256, 2304), (256, 2304)),
        ((1, 1), (256, 256)),
        ((10_000, 10), (2304, 256)),
    ],
)
def test_a_photo_is_seen_in_its_own_size_and_proportions(
    photo: tuple[int, int], seen: tuple[int, int]
) -> None:
    """A dynamic model was trained on photos as they are; a square would squeeze their subjects."""
    assert fit_input_size(SIDES, photo) == seen


@given(st.tuples(st.integers(1, 50_000), st.integers(1, 50_000)))
def test_every_photo_gets_sides_that_the_network_can_take(photo: tuple[int, int]) -> None:
    """Whatever somebody uploads: a panorama, an icon, a line."""
    seen = fit_input_size(SIDES, photo)
    assert all(side in SIDES for side in seen)
    if max(photo) <= 9 * min(photo):  # as far as the ends allow
        width, height = photo
        assert seen[0] * height == pytest.approx(seen[1] * width, rel=16 / 256 + 16 / 256)


def test_any_other_model_has_one_size_for_all() -> None:
    """What it was trained with."""
    assert fit_input_size((1024, 1024), (300, 4000)) == (1024, 1024)
