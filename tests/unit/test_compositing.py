"""The result's pixels: what is seen of the subject, and what behind it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from shared.errors import DamagedImage, NotAnImage, TooManyPixels
from tests.photos import encoded
from worker.imaging import compositing
from worker.imaging.compositing import Background, photo_colours, refined_colours
from worker.imaging.geometry import Cut, Pixels
from worker.imaging.png_writer import Rows

SIZE = (120, 90)
LIMIT = 1_000_000


def ramp() -> Pixels:
    """An alpha from clear on the left to opaque on the right."""
    return np.broadcast_to(np.linspace(0, 255, SIZE[0]).astype(np.uint8), SIZE[::-1])


def noise() -> Image.Image:
    """A photo of noise, the same every time."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (*SIZE[::-1], 3), np.uint8))


def whole(rows: Rows) -> Pixels:
    """Return all rows, asked for in two strips."""
    return np.concatenate([rows(0, 40), rows(40, SIZE[1])])


def behind(colour: str | None = None, path: str | None = None) -> Background:
    """Return the background of a colour, or the image at a path."""
    chosen = compositing.load_background(colour, path, LIMIT)
    assert chosen is not None
    return chosen


def blended(front: Pixels, alpha: Pixels, back: Pixels) -> Pixels:
    """Return the textbook's blend."""
    share = alpha[..., np.newaxis].astype(float) / 255
    return np.rint(front * share + back * (1 - share)).astype(np.uint8)


def test_a_cutout_keeps_the_photos_pixels_and_blackens_hidden_ones() -> None:
    """Straight alpha, never premultiplied; what is hidden costs nothing and gives nothing away."""
    cut = Cut(noise(), None, ramp())
    rgba = whole(compositing.cutout(cut.alpha, photo_colours(cut)))
    assert np.array_equal(rgba[..., 3], cut.alpha)
    seen = cut.alpha > 0
    assert np.array_equal(rgba[seen][:, :3], np.asarray(cut.rgb)[seen])
    assert not rgba[~seen].any()


@pytest.mark.parametrize(
    ("colour", "rgb"),
    [
        ("#f00", (255, 0, 0)),
        ("#12AB34", (18, 171, 52)),
        ("#12ab34ff", (18, 171, 52)),
        ("Tomato", (255, 99, 71)),
    ],
)
def test_a_colour_lies_behind_the_subject(colour: str, rgb: tuple[int, int, int]) -> None:
    """In every spelling; where the subject is clear, exactly that colour."""
    cut = Cut(noise(), None, ramp())
    backdrop = behind(colour=colour).covering(SIZE, None)
    assert backdrop.is_opaque
    result = whole(compositing.over(backdrop, cut.alpha, photo_colours(cut)))
    expected = blended(np.asarray(cut.rgb), cut.alpha, np.array(rgb))
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert np.array_equal(result[cut.alpha == 0][0], rgb)


def test_a_translucent_colour_leaves_a_translucent_result() -> None:
    """#rrggbbaa: the subject stays opaque, the rest is tinted."""
    cut = Cut(noise(), None, ramp())
    backdrop = behind(colour="#0000ff80").covering(SIZE, None)
    assert not backdrop.is_opaque
    result = whole(compositing.over(backdrop, cut.alpha, photo_colours(cut)))
    assert tuple(result[0, 0]) == (0, 0, 255, 128)
    assert tuple(result[0, -1]) == (*np.asarray(cut.rgb)[0, -1], 255)
    assert not whole(
        compositing.over(behind(colour="#00ff0000").covering(SIZE, None), cut.alpha, photo_colours(cut))
    )[0, 0].any()


def halves(size: tuple[int, int]) -> Image.Image:
    """A picture, red on the left and blue on the right."""
    image = Image.new("RGB", size, (255, 0, 0))
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill=(0, 0, 255))
    return image


@pytest.mark.parametrize("size", [(30, 300), (300, 30), (60, 45), (1, 1)])
def test_an_image_covers_the_result_whatever_its_shape(tmp_path: Path, size: tuple[int, int]) -> None:
    """No bars at the sides, nothing squeezed."""
    file = tmp_path / "back"
    file.write_bytes(encoded(halves(size)))
    cut = Cut(noise(), None, np.zeros(SIZE[::-1], np.uint8))
    backdrop = behind(path=str(file)).covering(SIZE, None)
    result = whole(compositing.over(backdrop, cut.alpha, photo_colours(cut)))
    assert result.shape == (*SIZE[::-1], 3)
    if size != (1, 1):
        assert tuple(result[45, 5]) == (255, 0, 0)
        assert tuple(result[45, -5]) == (0, 0, 255)


def test_an_image_stands_upright(tmp_path: Path) -> None:
    """A phone's photo as background must not lie on its side."""
    exif = Image.Exif()
    exif[0x0112] = 3
    file = tmp_path / "back"
    file.write_bytes(encoded(halves(SIZE).transpose(Image.Transpose.ROTATE_180), exif=exif))
    image = behind(path=str(file)).covering(SIZE, None).rows(0, 90, SIZE[0])
    assert image.getpixel((5, 45)) == (255, 0, 0)


def test_an_images_own_transparency_shines_through_or_becomes_white(tmp_path: Path) -> None:
    """A frame with a hole stays one; a jpeg has white in the hole."""
    image = halves(SIZE).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 60, 90))
    file = tmp_path / "back"
    file.write_bytes(encoded(image))
    backdrop = behind(path=str(file)).covering(SIZE, None)
    assert backdrop.rows(0, 90, SIZE[0]).getpixel((5, 5)) == (0, 0, 0, 0)
    assert backdrop.on_white().is_opaque
    assert backdrop.on_white().rows(0, 90, SIZE[0]).getpixel((5, 5)) == (255, 255, 255)


def swapped_profile() -> bytes:
    """A profile in which red and blue change places, so that nobody can miss that it was used."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = content.index(b"rXYZ"), content.index(b"bXYZ")
    content[red : red + 4], content[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(content)


def seen_in_srgb(image: Image.Image, profile: bytes) -> tuple[int, ...]:
    """Return the first pixel as a viewer shows it that heeds the profile."""
    shown = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert shown is not None
    pixel = shown.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def test_a_colour_looks_as_asked_for_under_the_photos_profile() -> None:
    """The photo keeps its profile and its pixels, so the background must be said in that profile's terms."""
    profile = swapped_profile()
    image = behind(colour="#c04020").covering(SIZE, profile).rows(0, 1, 1)
    assert image.getpixel((0, 0)) != (192, 64, 32)
    assert np.abs(np.subtract(seen_in_srgb(image, profile), (192, 64, 32))).max() <= 2


def test_a_profile_that_says_srgb_changes_no_colour() -> None:
    """White has to stay #ffffff."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = behind(colour="#123456").covering(SIZE, srgb).rows(0, 1, 1)
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
def test_a_bad_image_is_told_from_a_bad_photo(tmp_path: Path, content: bytes, error: type[Exception]) -> None:
    """The user must know which of the two files to change."""
    file = tmp_path / "back"
    file.write_bytes(content)
    with pytest.raises(error, match="'background_file'"):
        behind(path=str(file))


def test_refining_takes_the_old_background_out_of_the_edge() -> None:
    """A red subject before a green wall, over white: pink at the edge, and no green."""
    alpha, red, green = ramp(), np.array((200, 30, 30)), np.array((20, 220, 20))
    photo = Image.fromarray(blended(np.broadcast_to(red, (*alpha.shape, 3)).astype(np.uint8), alpha, green))
    cut = Cut(photo, None, alpha)
    right = blended(
        np.broadcast_to(red, (*alpha.shape, 3)).astype(np.uint8), alpha, np.array((255, 255, 255))
    )
    white = behind(colour="white").covering(SIZE, None)

    def error(colours: compositing.Colours) -> float:
        result = whole(compositing.over(white, alpha, colours))
        return float(np.abs(result.astype(int) - right).mean())

    assert error(refined_colours(cut)) < error(photo_colours(cut)) / 2
    assert np.array_equal(whole_colours(refined_colours(cut))[:, -1], np.asarray(photo)[:, -1])


def whole_colours(colours: compositing.Colours) -> Pixels:
    """Return all the colours."""
    return np.asarray(colours(0, SIZE[1]))


def test_a_photo_that_is_all_but_opaque_is_refined_like_any() -> None:
    """Some programs save 254 of 255 all over: that is no cut-out, and its halo goes too."""
    photo, alpha = noise(), ramp()
    bare = whole_colours(refined_colours(Cut(photo, None, alpha)))
    veiled = whole_colours(refined_colours(Cut(photo, np.full_like(alpha, 254), alpha)))
    assert np.array_equal(veiled, bare)
    assert not np.array_equal(bare, np.asarray(photo))


def test_refining_leaves_a_logo_as_it_was_drawn() -> None:
    """What came without a background has none to take out: its soft edge has its true colour already."""
    alpha = ramp()
    cut = Cut(noise(), alpha, alpha)
    seen = alpha < 255
    assert np.array_equal(whole_colours(refined_colours(cut))[seen], np.asarray(cut.rgb)[seen])
