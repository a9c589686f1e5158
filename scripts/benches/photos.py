"""Deterministic benchmark photos, of a typical JPEG size per pixel."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benches import BenchFailed

SAMPLE = Path(__file__).resolve().parent.parent / "samples" / "astronaut.jpg"
QUALITY = 90
NOISE = 3  # standard deviation; without it an enlarged image is far smoother than a photo
SEED = 1
LARGE = "12 MP"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG with its name and size in pixels."""

    name: str
    width: int
    height: int
    jpeg: bytes

    def check_cutout(self, png: bytes) -> None:
        """Raise BenchFailed unless `png` is a PNG of this photo's size."""
        width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
        if not png.startswith(PNG_SIGNATURE) or (width, height) != (self.width, self.height):
            raise BenchFailed(f"The response is no PNG of {self.width} x {self.height} pixels.")


def make_photo(name: str, width: int, height: int) -> Photo:
    """Return the sample's centre crop, enlarged to this size, with Gaussian noise."""
    with Image.open(SAMPLE) as sample:
        cut = sample.height - sample.width * height // width
        centre = sample.crop((0, cut // 2, sample.width, sample.height - cut // 2))
        large = centre.resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(SEED).normal(0, NOISE, (height, width, 1))
    noisy = np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=QUALITY)
    return Photo(name, width, height, stream.getvalue())


def make_photos() -> list[Photo]:
    """Return the two photos of every benchmark: of a camera's size and of a web page's."""
    return [make_photo(LARGE, 4000, 3000), make_photo("1 MP", 1152, 864)]
