"""Foreground estimation: soft edges must not show the old background as a halo on a new one."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from worker.imaging import foreground

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

HEIGHT, WIDTH = 480, 640
NEW_BACKGROUNDS = pytest.mark.parametrize(
    "new", [(255, 255, 255), (0, 0, 0), (255, 0, 255)], ids=["white", "black", "magenta"]
)
MIB = 1 << 20


def disc(edge: float, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """Return the matte of a disc whose edge is `edge` pixels wide."""
    y, x = np.ogrid[:height, :width]
    beyond = np.hypot(y - height / 2, x - width / 2) - min(height, width) / 3
    return np.rint(np.clip(0.5 - beyond / edge, 0, 1) * 255).astype(np.uint8)


def strands() -> Pixels:
    """Return the matte of a head with hair: strands one to three pixels wide around a disc."""
    rng = np.random.default_rng(3)
    image = Image.new("L", (4 * WIDTH, 4 * HEIGHT))
    draw = ImageDraw.Draw(image)
    middle, radius = np.array([2 * WIDTH, 2 * HEIGHT]), HEIGHT
    draw.circle(tuple(middle), radius, fill=255)
    for angle in rng.uniform(0, 2 * np.pi, 200):
        turned = angle + rng.uniform(-0.1, 0.1)
        root = middle + 0.9 * radius * np.array([np.cos(angle), np.sin(angle)])
        tip = middle + rng.uniform(1.1, 1.6) * radius * np.array([np.cos(turned), np.sin(turned)])
        draw.line([*root, *tip], fill=255, width=int(rng.integers(3, 12)))
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX))


def fade() -> Pixels:
    """Return the matte of a subject that fades out over a quarter of the image's width."""
    ramp = np.clip((WIDTH * 5 / 8 - np.arange(WIDTH)) / (WIDTH / 4), 0, 1)
    return np.broadcast_to(np.rint(ramp * 255).astype(np.uint8), (HEIGHT, WIDTH))


def cloth() -> Floats:
    """Return warm patches with photographic noise."""
    rng = np.random.default_rng(5)
    patches = Image.fromarray(rng.integers(60, 200, (8, 10, 3), dtype=np.uint8))
    smooth = np.asarray(patches.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
    return np.clip(smooth * (1, 0.6, 0.4) + rng.normal(0, 4, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.float32)


def wall() -> Floats:
    """Return a uniform green screen."""
    return np.broadcast_to(np.array([60, 200, 90], np.float32), (HEIGHT, WIDTH, 3))


def sky() -> Floats:
    """Return a gradient from white to blue."""
    share = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, np.newaxis, np.newaxis]
    ends = np.array([[250, 245, 255], [40, 90, 200]], np.float32)
    return np.broadcast_to((1 - share) * ends[0] + share * ends[1], (HEIGHT, WIDTH, 3))


def leaves() -> Floats:
    """Return a texture of cold colours with fine noise."""
    rng = np.random.default_rng(9)
    patches = Image.fromarray(rng.integers(100, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(patches.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
    noisy = smooth * (0.4, 1, 0.8) + rng.normal(0, 10, (HEIGHT, WIDTH, 1))
    return np.clip(noisy, 0, 255).astype(np.float32)


ALPHAS = {
    "sharp disc": disc(4),
    "soft disc": disc(24),
    "very soft disc": disc(60),
    "strands": strands(),
    "fade": fade(),
}
BACKGROUNDS = {"uniform": wall(), "gradient": sky(), "noisy": leaves()}


def composite(colour: NDArray[Any], alpha: Pixels, background: NDArray[Any]) -> Floats:
    share = alpha[..., np.newaxis] / np.float32(255)
    composited: Floats = (share * colour + (1 - share) * background).astype(np.float32)
    return composited


def render(subject: Floats, alpha: Pixels, background: Floats) -> Pixels:
    return np.rint(composite(subject, alpha, background)).astype(np.uint8)


def estimate_foreground(photo: Pixels, alpha: Pixels) -> Pixels:
    return np.asarray(foreground.estimate_foreground(Image.fromarray(photo), alpha))


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@NEW_BACKGROUNDS
@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("kind", ALPHAS)
def test_the_halo_on_a_new_background_is_at_least_halved(
    kind: str, background: str, new: tuple[int, int, int]
) -> None:
    """The purpose of foreground estimation."""
    subject, alpha, over = cloth(), ALPHAS[kind], np.array(new)
    photo = render(subject, alpha, BACKGROUNDS[background])
    truth = composite(subject, alpha, over)
    soft = (alpha > 0) & (alpha < 255)

    def error(colour: Pixels) -> float:
        return float(np.abs(composite(colour, alpha, over) - truth)[soft].mean())

    assert error(estimate_foreground(photo, alpha)) <= error(photo) / 2


@pytest.mark.parametrize("highest", [12, 40, 80, 120])
def test_a_subject_without_opaque_pixels_keeps_plausible_colours(highest: int) -> None:
    """Glass or smoke: the estimate is between the image's colour and the true one, never black."""
    alpha = (disc(60) * (highest / 255)).astype(np.uint8)
    true_colour = np.array([200, 120, 60])
    photo = render(np.broadcast_to(true_colour.astype(np.float32), (HEIGHT, WIDTH, 3)), alpha, wall())
    visible = alpha > highest / 2
    mixed = photo[visible].astype(int)
    estimated = estimate_foreground(photo, alpha)[visible].astype(int)
    assert (estimated >= np.minimum(mixed, true_colour) - 5).all()
    assert (estimated <= np.maximum(mixed, true_colour) + 5).all()


def test_few_opaque_pixels_in_a_haze_keep_their_colour() -> None:
    """Their weight must not be lost among many soft pixels."""
    alpha = np.full((1000, 1000), 60, np.uint8)
    alpha[500:506, 500:506] = 255
    subject, background = (np.full((1000, 1000, 3), level, np.float32) for level in (200, 30))
    photo = render(subject, alpha, background)
    corrected = estimate_foreground(photo, alpha)
    assert corrected[496:510, 496:510].min() > 180


@pytest.mark.parametrize("kind", ALPHAS)
def test_opaque_pixels_are_unchanged(kind: str) -> None:
    """Bit for bit; and the input is not modified."""
    alpha = ALPHAS[kind]
    photo = render(cloth(), alpha, leaves())
    before = photo.copy()
    corrected = estimate_foreground(photo, alpha)
    np.testing.assert_array_equal(corrected[alpha == 255], photo[alpha == 255])
    np.testing.assert_array_equal(photo, before)
    assert corrected.shape == photo.shape
    assert corrected.dtype == np.uint8


@pytest.mark.parametrize("level", [0, 255])
def test_a_matte_without_soft_pixels_returns_the_same_image(level: int) -> None:
    """Without a copy."""
    photo, alpha = Image.fromarray(noise(1500, 2000)), np.full((1500, 2000), level, np.uint8)
    tracemalloc.start()
    try:
        assert foreground.estimate_foreground(photo, alpha) is photo
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5), (2, 300), (65, 513)])
def test_images_of_any_size_are_corrected(size: tuple[int, int]) -> None:
    """An icon, a line, an image one pixel larger than a tile."""
    photo = noise(*size)
    alpha = np.random.default_rng(2).integers(0, 256, size, dtype=np.uint8)
    alpha[0, 0] = 128
    corrected = estimate_foreground(photo, alpha)
    assert corrected.shape == photo.shape
    np.testing.assert_array_equal(corrected[alpha == 255], photo[alpha == 255])


def test_a_grey_image_stays_grey() -> None:
    """Different rounding per channel would tint its edges."""
    photo = np.repeat(noise(200, 300)[..., :1], 3, axis=2)
    corrected = estimate_foreground(photo, disc(20, 200, 300))
    assert not np.array_equal(corrected, photo)
    assert np.ptp(corrected, axis=2).max() == 0


@pytest.mark.parametrize("kind", ALPHAS)
def test_tiles_leave_no_seams(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is independent of the tile size."""
    alpha = ALPHAS[kind]
    photo = render(cloth(), alpha, leaves())
    expected = estimate_foreground(photo, alpha)
    for rows, columns in ((HEIGHT, WIDTH), (5, 100), (100, 7)):
        monkeypatch.setattr(foreground, "_TILE_ROWS", rows)
        monkeypatch.setattr(foreground, "_TILE_COLUMNS", columns)
        assert np.abs(estimate_foreground(photo, alpha).astype(int) - expected).max() <= 1


def test_a_shifted_image_has_the_same_colours() -> None:
    """The result is independent of an edge's position in its tile."""
    alpha = disc(24)
    photo = render(cloth(), alpha, sky())
    corrected = estimate_foreground(photo, alpha)
    # By whole cells and samples of the priors at every pyramid level, but not by whole tiles.
    down, right = 32, 64
    shifted = [
        np.pad(plane, ((down, 0), (right, 0)) + ((0, 0),) * (plane.ndim - 2), mode="edge")
        for plane in (photo, alpha)
    ]
    moved = estimate_foreground(*shifted)[down:, right:]
    soft = (alpha > 0) & (alpha < 255)
    visible = np.abs(moved.astype(int) - corrected)[soft] * (alpha[soft][:, np.newaxis] / 255)
    assert np.percentile(visible, 99.9) <= 2


def test_memory_stays_bounded_at_any_size() -> None:
    """No full-size floating-point copies: tested at 25 megapixels."""
    alpha = disc(300, 5000, 5000)
    photo = Image.new("RGB", (5000, 5000))
    tracemalloc.start()
    try:
        foreground.estimate_foreground(photo, alpha)
        assert tracemalloc.get_traced_memory()[1] < 96 * MIB
    finally:
        tracemalloc.stop()
