"""The photos that are measured with: always the same bytes, of a photo's usual weight."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benches import BenchFailed

SAMPLE = Path(__file__).resolve().parent.parent / "samples" / "astronaut.jpg"
QUALITY = 90
NOISE = 3  # standard deviation; without it an enlarged picture is far smoother than a photo
SEED = 1
LARGE = "12 MP"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG, and what to call it."""

    name: str
    width: int
    height: int
    jpeg: bytes

    def check_cutout(self, png: bytes) -> None:
        """Raise BenchFailed for anything but a PNG of this photo's size."""
        width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
        if not png.startswith(PNG_SIGNATURE) or (width, height) != (self.width, self.height):
            raise BenchFailed(f"The reply is no PNG of {self.width} x {self.height} pixels.")


def make(name: str, width: int, height: int) -> Photo:
    """Return the sample's middle, in the photo's proportions, enlarged, with a camera's noise."""
    with Image.open(SAMPLE) as sample:
        cut = sample.height - sample.width * height // width
        middle = sample.crop((0, cut // 2, sample.width, sample.height - cut // 2))
        large = middle.resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(SEED).normal(0, NOISE, (height, width, 1))
    noisy = np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "JPEG", quality=QUALITY)
    return Photo(name, width, height, stream.getvalue())


def standard() -> list[Photo]:
    """Return the two photos of every bench: a camera's, and one from the web."""
    return [make(LARGE, 4000, 3000), make("1 MP", 1152, 864)]
