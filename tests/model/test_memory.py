"""The peak memory of removals stays within the estimate that admits them, for every format and mode."""

import multiprocessing
import struct
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.messages import ModelInfo, RemovalJob
from shared.options import RemovalOptions
from tests.fake_workers.talk import MODEL
from worker import pipeline
from worker.engines import ProgressFn
from worker.imaging import decode
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels
from worker.imaging.memory_estimate import FIXED_BYTES, estimate_removal_bytes
from worker.imaging.parallel import resize

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures by /proc"),
]
SIDE, MAX_PIXELS = 3000, 9_000_000
PIXELS = SIDE * SIDE
WHITE_16 = 65535


class Disc:
    """An engine that finds a disc with a soft edge in every image."""

    model_info = MODEL

    def preprocess(self, image: ModelInput, box: Box | None = None) -> Pixels:
        """Return the image at 320 x 320, as the built-in model's."""
        return resize(image, (320, 320), Image.Resampling.LANCZOS, box and box.corners, reducing_gap=3.0)

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Return the disc."""
        on_progress(1)
        down, across = np.mgrid[: pixels.shape[0], : pixels.shape[1]] - 160
        return np.clip((110 - np.hypot(down, across)) * 12, 0, 255).astype(np.uint8), self.model_info


def measure_growth(job: RemovalJob, small: RemovalJob) -> int:
    """Run a job in this process, after a small one, and return the growth of its peak memory in bytes."""
    decode.configure()
    pipeline.remove(small, Disc(), MAX_PIXELS, lambda _percent, _message: None)
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = read_status("VmRSS")
    pipeline.remove(job, Disc(), MAX_PIXELS, lambda _percent, _message: None)
    return read_status("VmHWM") - before


def read_status(name: str) -> int:
    """Return an entry of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Soft shapes with noise."""
    random = np.random.default_rng(5)
    small = Image.fromarray(random.integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8))
    return small.resize((SIDE, SIDE))


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    """A fresh process, whose peak is the job's."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


def write_deep_png(path: Path) -> None:
    """Write an RGB PNG of 16 bits, which Pillow cannot."""
    row = b"\0" + bytes(SIDE * 6)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(row * SIDE, 1),
        b"IEND": b"",
    }
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, content in chunks.items():
            file.write(struct.pack(">I", len(content)) + name + content)
            file.write(struct.pack(">I", zlib.crc32(name + content)))


def write_image(photo: Image.Image, path: Path, kind: str, mode: str) -> None:
    """Write the photo in a format and mode."""
    match mode:
        case "RGB16":
            write_deep_png(path)
            return
        case "I;16":
            image = Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * (WHITE_16 // 255))
        case "RGBA" | "LA":
            image = photo.convert(mode)
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        case _:
            image = photo.convert(mode)
    options: dict[str, Any] = {"WEBP": {"method": 0}, "PNG": {"compress_level": 1}}.get(kind, {})
    image.save(path, kind, **options)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {}),
        ("JPEG", "CMYK", {}),
        ("PNG", "L", {}),
        ("PNG", "LA", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("PNG", "I;16", {}),
        ("PNG", "RGB16", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "F", {}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {}),
        ("WEBP", "RGBA", {"format": "webp"}),
        ("WEBP", "RGBA", {"format": "webp", "lossless": True, "background": "#ff000080"}),
        ("JPEG", "RGB", {"format": "webp", "output": "both"}),
        ("JPEG", "RGB", {"format": "jpeg", "background": "white"}),
        ("PNG", "RGBA", {"max_size": 2500}),
        ("PNG", "RGBA", {"canvas": "3000x3000", "scale": "100%", "shadow": "drop"}),
        ("JPEG", "RGB", {"canvas": "3000x3000", "scale": "100%"}),
        ("JPEG", "RGB", {"shadow": "ground"}),
        ("JPEG", "RGB", {"output": "layers", "shadow": "drop", "shadow_blur": "1px"}),
        ("JPEG", "RGB", {"output": "mask", "detail": "high"}),
    ],
)
def test_the_peak_memory_stays_within_the_estimate(
    tmp_path: Path,
    photo: Image.Image,
    pool: ProcessPoolExecutor,
    kind: str,
    mode: str,
    options: dict[str, Any],
) -> None:
    """The estimate is what keeps jobs together within a container's limit."""
    source, small, result = (str(tmp_path / name) for name in ("source", "small", "result"))
    write_image(photo, Path(source), kind, mode)
    photo.crop((0, 0, 64, 64)).save(small, "PNG")
    job = RemovalJob("a", source, result, RemovalOptions(**options))
    estimate_bytes = estimate_removal_bytes(job, MAX_PIXELS)
    growth_bytes = pool.submit(measure_growth, job, RemovalJob("b", small, result, job.options)).result()
    assert PIXELS * 4 < growth_bytes <= estimate_bytes
    assert estimate_bytes - FIXED_BYTES <= 2.5 * growth_bytes


def test_what_decoding_refuses_needs_no_memory(tmp_path: Path) -> None:
    """Its own error must come first: too many pixels, no image, damaged."""
    for name, content in {"text": b"no image", "damaged": b"\x89PNG\r\n\x1a\n???"}.items():
        (tmp_path / name).write_bytes(content)
        assert estimate_removal_bytes(RemovalJob("a", str(tmp_path / name), "", RemovalOptions()), 100) == 0
    Image.new("L", (11, 10)).save(tmp_path / "large", "PNG")
    assert estimate_removal_bytes(RemovalJob("a", str(tmp_path / "large"), "", RemovalOptions()), 100) == 0
