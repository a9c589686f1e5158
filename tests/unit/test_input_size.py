"""The network's input size for an image, for fixed and variable input sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog import fit_input_size

SIDES = range(256, 2304 + 1, 32)


@pytest.mark.parametrize(
    ("image", "expected"),
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
def test_a_variable_input_size_follows_the_images_own(
    image: tuple[int, int], expected: tuple[int, int]
) -> None:
    """BiRefNet_dynamic is trained on images in their own aspect ratio; a square would distort them."""
    assert fit_input_size(SIDES, image) == expected


@given(st.tuples(st.integers(1, 50_000), st.integers(1, 50_000)))
def test_every_image_gets_allowed_sides_and_keeps_its_aspect_ratio(image: tuple[int, int]) -> None:
    """A panorama, an icon, a line."""
    size = fit_input_size(SIDES, image)
    assert all(side in SIDES for side in size)
    if max(image) <= 9 * min(image):  # beyond that, the bounds distort it
        width, height = image
        assert size[0] * height == pytest.approx(size[1] * width, rel=16 / 256 + 16 / 256)


def test_a_fixed_input_size_ignores_the_images() -> None:
    """The network was trained with it."""
    assert fit_input_size((1024, 1024), (300, 4000)) == (1024, 1024)
