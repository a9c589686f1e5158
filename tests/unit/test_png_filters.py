"""The choice of PNG filters: graphics get as small as with Pillow, photos keep the fast path."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tests.photos import encoded, opened
from worker.imaging import png_writer
from worker.imaging.png_filters import is_graphics

MAX_RATIO = 1.1
WORDS = ("quick", "brown", "fox", "jumps", "over", "lazy", "dog", "while", "worker", "waits", "image")


def canvas(mode: str = "RGB", colour: str = "white") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an image and a pen for it."""
    image = Image.new(mode, (1280, 960), colour)
    return image, ImageDraw.Draw(image)


def flat_drawing() -> Image.Image:
    """A few large shapes."""
    image, draw = canvas(colour="#f4f0e8")
    draw.rectangle((100, 100, 900, 700), fill="#3f6fb5", outline="black", width=6)
    draw.ellipse((500, 300, 1200, 900), fill="#d8552b")
    draw.polygon([(60, 900), (400, 500), (700, 930)], fill="#2b8a3e")
    return image


def text() -> Image.Image:
    """A page of anti-aliased text."""
    image, draw = canvas()
    random, font = np.random.default_rng(1), ImageFont.load_default(size=20)
    for y in range(10, 940, 26):
        draw.text((20, y), " ".join(random.choice(WORDS, 22)), fill="black", font=font)
    return image


def diagram() -> Image.Image:
    """Boxes and slanted lines."""
    image, draw = canvas(colour="#fafafa")
    for x, y, width, height, *colour in np.random.default_rng(2).integers(0, 256, (40, 6)).tolist():
        box = (4 * x, 3 * y, 4 * x + width, 3 * y + height)
        draw.rectangle(box, fill=(*colour, 160), outline="black", width=3)
        draw.line((4 * x, 3 * y, 4 * y, 3 * width), fill="black", width=2)
    return image


def icon() -> Image.Image:
    """Anti-aliased shapes on transparency."""
    image, draw = canvas("RGBA", "#00000000")
    draw.ellipse((60, 60, 900, 900), fill="#3366cc")
    draw.rounded_rectangle((200, 200, 700, 700), 90, fill="#ffcc00")
    return image.resize((640, 480), Image.Resampling.LANCZOS)


def mask() -> Image.Image:
    """A matte with soft edges."""
    image, draw = canvas("L", "black")
    draw.ellipse((200, 100, 800, 900), fill="white")
    return image.filter(ImageFilter.GaussianBlur(4))


def screenshot() -> Image.Image:
    """An editor with coloured text."""
    image, draw = canvas(colour="#1e1e1e")
    random, font = np.random.default_rng(3), ImageFont.load_default(size=15)
    draw.rectangle((0, 0, 220, 960), fill="#252526")
    for y in range(8, 950, 20):
        for x in range(240, 1100, 130):
            colour = ["#569cd6", "#ce9178", "#9cdcfe"][int(random.integers(3))]
            draw.text((x, y), str(random.choice(WORDS)), fill=colour, font=font)
    return image


def gradient() -> Image.Image:
    """A gradient in both directions."""
    across, down = np.linspace(0, 255, 1280)[None], np.linspace(0, 255, 960)[:, None]
    planes = np.broadcast_arrays(across, down, (across + down) / 2)
    return Image.fromarray(np.stack(planes, axis=-1).round().astype(np.uint8))


def vertical_gradient() -> Image.Image:
    """Rows of one colour each."""
    down = np.broadcast_to(np.linspace(0, 255, 960)[:, None, None], (960, 1280, 3))
    return Image.fromarray(down.round().astype(np.uint8))


def textured() -> Image.Image:
    """A smooth photo with a camera's noise."""
    random = np.random.default_rng(4)
    smooth = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((1280, 960))
    noisy = np.asarray(smooth) + random.normal(0, 2, (960, 1280, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def cutout() -> Image.Image:
    """A photo's subject on transparency: a tenth of the area."""
    image = textured().convert("RGBA")
    alpha = Image.new("L", image.size)
    ImageDraw.Draw(alpha).ellipse((440, 280, 840, 680), fill=255)
    image.putalpha(alpha)
    return Image.composite(image, Image.new("RGBA", image.size), alpha)


def row_pairs(image: Image.Image) -> list[png_writer.Pixels]:
    """Return pairs of rows spread over an image."""
    pixels = np.asarray(image)
    return [pixels[top : top + 2] for top in range(30, image.height - 1, 100)]


@pytest.mark.parametrize(
    "draw", [flat_drawing, text, diagram, icon, mask, screenshot, gradient, vertical_gradient]
)
def test_graphics_are_about_as_small_as_with_pillow(draw: Callable[[], Image.Image]) -> None:
    """With one filter for every row and a fast deflate, they were two to four times as large."""
    image = draw()
    pixels, stream = np.asarray(image), io.BytesIO()
    png_writer.encode(pixels.shape, lambda top, bottom: pixels[top:bottom], stream)
    assert is_graphics(row_pairs(image))
    assert len(stream.getvalue()) <= MAX_RATIO * len(encoded(image))
    np.testing.assert_array_equal(np.asarray(opened(stream.getvalue())), pixels)


@pytest.mark.parametrize("photo", [textured, cutout])
def test_photos_and_their_cutouts_are_not_graphics(photo: Callable[[], Image.Image]) -> None:
    """Zlib takes several times as long for them."""
    image = photo()
    assert not is_graphics(row_pairs(image))
    for quality in (60, 95):
        if image.mode == "RGB":
            assert not is_graphics(row_pairs(opened(encoded(image, "JPEG", quality=quality))))
