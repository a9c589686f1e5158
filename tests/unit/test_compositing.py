"""Compositing: cut-outs, backgrounds and their profiles, and foreground estimation at soft edges."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from shared.errors import DamagedImage, NotAnImage, TooManyPixels
from tests.photos import encoded
from worker.imaging import compositing
from worker.imaging.compositing import BackgroundSource, estimate_foreground_colours, read_original_colours
from worker.imaging.geometry import Pixels
from worker.imaging.matted_image import MattedImage
from worker.imaging.png_writer import Rows

SIZE = (120, 90)
LIMIT = 1_000_000


def ramp() -> Pixels:
    """A matte from transparent on the left to opaque on the right."""
    return np.broadcast_to(np.linspace(0, 255, SIZE[0]).astype(np.uint8), SIZE[::-1])


def noise() -> Image.Image:
    """An image of seeded noise."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (*SIZE[::-1], 3), np.uint8))


def whole(rows: Rows) -> Pixels:
    """Return all rows, computed in two strips."""
    return np.concatenate([rows(0, 40), rows(40, SIZE[1])])


def load_background(colour: str | None = None, path: str | None = None) -> BackgroundSource:
    """Return a background that must exist."""
    source = compositing.load_background(colour, path, LIMIT)
    assert source is not None
    return source


def composite(front: Pixels, alpha: Pixels, back: Pixels) -> Pixels:
    """Return the over operator's result (Porter and Duff, 1984) for an opaque background."""
    share = alpha[..., np.newaxis].astype(float) / 255
    return np.rint(front * share + back * (1 - share)).astype(np.uint8)


def test_a_cutout_keeps_visible_pixels_and_blackens_transparent_ones() -> None:
    """Straight alpha; transparent pixels compress well and leak nothing of the background."""
    matted = MattedImage(noise(), None, ramp())
    rgba = whole(compositing.compose_cutout(matted.alpha, read_original_colours(matted)))
    assert np.array_equal(rgba[..., 3], matted.alpha)
    visible = matted.alpha > 0
    assert np.array_equal(rgba[visible][:, :3], np.asarray(matted.rgb)[visible])
    assert not rgba[~visible].any()


@pytest.mark.parametrize(
    ("colour", "rgb"),
    [
        ("#f00", (255, 0, 0)),
        ("#12AB34", (18, 171, 52)),
        ("#12ab34ff", (18, 171, 52)),
        ("Tomato", (255, 99, 71)),
    ],
)
def test_the_subject_is_composited_over_a_colour(colour: str, rgb: tuple[int, int, int]) -> None:
    """In every notation; exactly that colour where the matte is 0."""
    matted = MattedImage(noise(), None, ramp())
    layer = load_background(colour=colour).to_layer(SIZE, None)
    assert layer.is_opaque
    result = whole(compositing.composite_over(layer, matted.alpha, read_original_colours(matted)))
    expected = composite(np.asarray(matted.rgb), matted.alpha, np.array(rgb))
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert np.array_equal(result[matted.alpha == 0][0], rgb)


def test_a_translucent_colour_gives_a_translucent_result() -> None:
    """#rrggbbaa: the subject stays opaque, the background keeps its alpha."""
    matted = MattedImage(noise(), None, ramp())
    layer = load_background(colour="#0000ff80").to_layer(SIZE, None)
    assert not layer.is_opaque
    result = whole(compositing.composite_over(layer, matted.alpha, read_original_colours(matted)))
    assert tuple(result[0, 0]) == (0, 0, 255, 128)
    assert tuple(result[0, -1]) == (*np.asarray(matted.rgb)[0, -1], 255)
    assert not whole(
        compositing.composite_over(
            load_background(colour="#00ff0000").to_layer(SIZE, None),
            matted.alpha,
            read_original_colours(matted),
        )
    )[0, 0].any()


def halves(size: tuple[int, int]) -> Image.Image:
    """An image, red on the left and blue on the right."""
    image = Image.new("RGB", size, (255, 0, 0))
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill=(0, 0, 255))
    return image


@pytest.mark.parametrize("size", [(30, 300), (300, 30), (60, 45), (1, 1)])
def test_a_background_image_covers_the_result_at_any_aspect_ratio(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Without bars or distortion."""
    file = tmp_path / "back"
    file.write_bytes(encoded(halves(size)))
    matted = MattedImage(noise(), None, np.zeros(SIZE[::-1], np.uint8))
    layer = load_background(path=str(file)).to_layer(SIZE, None)
    result = whole(compositing.composite_over(layer, matted.alpha, read_original_colours(matted)))
    assert result.shape == (*SIZE[::-1], 3)
    if size != (1, 1):
        assert tuple(result[45, 5]) == (255, 0, 0)
        assert tuple(result[45, -5]) == (0, 0, 255)


def test_a_background_images_exif_orientation_is_applied(tmp_path: Path) -> None:
    """Phones store photos rotated."""
    exif = Image.Exif()
    exif[0x0112] = 3
    file = tmp_path / "back"
    file.write_bytes(encoded(halves(SIZE).transpose(Image.Transpose.ROTATE_180), exif=exif))
    image = load_background(path=str(file)).to_layer(SIZE, None).read_rows(0, 90, SIZE[0])
    assert image.getpixel((5, 45)) == (255, 0, 0)


def test_a_background_images_transparency_is_kept_or_flattened_on_white(tmp_path: Path) -> None:
    """Formats without transparency need the white."""
    image = halves(SIZE).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 60, 90))
    file = tmp_path / "back"
    file.write_bytes(encoded(image))
    layer = load_background(path=str(file)).to_layer(SIZE, None)
    assert layer.read_rows(0, 90, SIZE[0]).getpixel((5, 5)) == (0, 0, 0, 0)
    assert layer.flatten_on_white().is_opaque
    assert layer.flatten_on_white().read_rows(0, 90, SIZE[0]).getpixel((5, 5)) == (255, 255, 255)


def swapped_profile() -> bytes:
    """A profile with red and blue swapped, whose use is easy to detect."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = content.index(b"rXYZ"), content.index(b"bXYZ")
    content[red : red + 4], content[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(content)


def first_pixel_in_srgb(image: Image.Image, profile: bytes) -> tuple[int, ...]:
    """Return the first pixel as a colour-managed viewer shows it."""
    shown = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert shown is not None
    pixel = shown.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def test_a_background_colour_is_converted_to_the_images_profile() -> None:
    """The result keeps the input's profile, under which the requested sRGB colour has other values."""
    profile = swapped_profile()
    image = load_background(colour="#c04020").to_layer(SIZE, profile).read_rows(0, 1, 1)
    assert image.getpixel((0, 0)) != (192, 64, 32)
    assert np.abs(np.subtract(first_pixel_in_srgb(image, profile), (192, 64, 32))).max() <= 2


def test_an_srgb_profile_leaves_a_background_colour_exact() -> None:
    """White has to stay #ffffff, without rounding errors."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = load_background(colour="#123456").to_layer(SIZE, srgb).read_rows(0, 1, 1)
    assert image.getpixel((0, 0)) == (0x12, 0x34, 0x56)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"hello", NotAnImage),
        (encoded(noise())[:500], DamagedImage),
        (encoded(Image.new("1", (2000, 2000))), TooManyPixels),
    ],
    ids=["text", "cut short", "giant"],
)
def test_a_background_images_error_names_its_field(
    tmp_path: Path, content: bytes, error: type[Exception]
) -> None:
    """The client must know which of its two files is at fault."""
    file = tmp_path / "back"
    file.write_bytes(content)
    with pytest.raises(error, match="'background_file'"):
        load_background(path=str(file))


def test_foreground_estimation_removes_the_old_background_from_soft_edges() -> None:
    """A red subject in front of green, composited over white: the edge is pink, without green."""
    alpha, red, green = ramp(), np.array((200, 30, 30)), np.array((20, 220, 20))
    photo = Image.fromarray(composite(np.broadcast_to(red, (*alpha.shape, 3)).astype(np.uint8), alpha, green))
    matted = MattedImage(photo, None, alpha)
    expected = composite(
        np.broadcast_to(red, (*alpha.shape, 3)).astype(np.uint8), alpha, np.array((255, 255, 255))
    )
    white = load_background(colour="white").to_layer(SIZE, None)

    def error(colours: compositing.ColourRows) -> float:
        result = whole(compositing.composite_over(white, alpha, colours))
        return float(np.abs(result.astype(int) - expected).mean())

    before, opaque = error(read_original_colours(matted)), np.array(photo)[:, -1]
    refined = estimate_foreground_colours(matted)
    assert error(refined) < before / 2
    assert np.array_equal(whole_colours(refined)[:, -1], opaque)


def whole_colours(colours: compositing.ColourRows) -> Pixels:
    """Return the colours of all rows."""
    return np.asarray(colours(0, SIZE[1]))


def test_an_input_alpha_of_254_counts_as_opaque() -> None:
    """Some programs save 254 of 255 everywhere: that image still has a background to remove."""
    photo, alpha = noise(), ramp()
    opaque = whole_colours(estimate_foreground_colours(MattedImage(photo.copy(), None, alpha)))
    nearly_opaque = whole_colours(
        estimate_foreground_colours(MattedImage(photo.copy(), np.full_like(alpha, 254), alpha))
    )
    assert np.array_equal(nearly_opaque, opaque)
    assert not np.array_equal(opaque, np.asarray(photo))


def test_foreground_estimation_keeps_pixels_that_were_transparent_already() -> None:
    """They had no background; their soft edges have the true colour already."""
    alpha = ramp()
    matted = MattedImage(noise(), alpha, alpha)
    transparent = alpha < 255
    assert np.array_equal(
        whole_colours(estimate_foreground_colours(matted))[transparent], np.asarray(matted.rgb)[transparent]
    )
