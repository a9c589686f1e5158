"""Photos made by the tests."""

import io
from typing import Any

from PIL import Image, ImageStat

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def wish(text: str = "") -> bytes:
    """A file that passes for a PNG and instructs the fake worker `obeys` what to do."""
    return PNG_SIGNATURE + text.encode()


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return `image` as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(photo: bytes) -> Image.Image:
    """Return a file's bytes as a loaded image."""
    image = Image.open(io.BytesIO(photo))
    image.load()
    return image


def corner(image: Image.Image) -> list[float]:
    """Return the mean red, green and blue of an image's upper left corner, 0 to 255."""
    return list(ImageStat.Stat(image.convert("RGB").crop((0, 0, 8, 8))).mean)
