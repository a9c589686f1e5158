"""The steps of one removal, in order: decode, infer, compose, encode."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import StorageFailed
from shared.messages import RemovalJob, RemovalResult
from worker import image_io, png
from worker.device import available_cores
from worker.engines import Engine

INFERENCE_PERCENT, SAVE_PERCENT = 45, 80
Report = Callable[[float, str], None]


class StepClock:
    """Measures named steps in milliseconds."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        start = time.perf_counter()
        yield
        self.timings_ms[name] = round((time.perf_counter() - start) * 1000, 1)


def remove(job: RemovalJob, engine: Engine, max_pixels: int, report: Report) -> RemovalResult:
    """Cut the subject of the photo at `job.source_path` out into `job.result_path`.

    `report` is told each step as (percent, message), and may raise to stop the removal between steps.
    The result appears whole or not at all. Raises errors of `shared.errors`.
    """
    clock = StepClock()
    report(5, "Decoding the image")
    with clock.step("decode"):
        photo = image_io.decode(Path(job.source_path), max_pixels)
    report(10, "Model ready")

    def inferring(share: float) -> None:
        report(INFERENCE_PERCENT + share * (SAVE_PERCENT - INFERENCE_PERCENT), "Removing the background")

    inferring(0)
    with clock.step("inference"):
        alpha = engine.alpha(photo.on_white(), inferring)
    report(SAVE_PERCENT, "Saving the result")
    with clock.step("encode"):
        alpha = alpha if photo.alpha is None else _multiplied(alpha, photo.alpha)
        pixels = alpha if job.options.output == "mask" else _cutout(photo, alpha)
        _save(pixels, photo, Path(job.result_path))
    height, width = alpha.shape
    facts = engine.facts
    return RemovalResult(width, height, "png", facts.model_id, facts.device, clock.timings_ms)


def _multiplied(alpha: NDArray[np.uint8], own: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the product of two alphas, rounded, in 0..255."""
    return ((alpha.astype(np.uint16) * own + 127) // 255).astype(np.uint8)


def _cutout(photo: image_io.Photo, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return straight RGBA. Fully hidden pixels are black: they show nowhere, and pack to nothing."""
    image = photo.rgb.convert("RGBA")
    rgba = np.array(image)
    rgba[..., 3] = alpha
    packed = rgba.view(np.uint32)[..., 0]
    packed *= alpha != 0
    return rgba


def _save(pixels: NDArray[np.uint8], photo: image_io.Photo, path: Path) -> None:
    # A mask is no colour picture: a colour profile would make viewers change its greys.
    profile = photo.icc_profile if pixels.ndim == 3 else None
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            png.encode(pixels, stream, icc_profile=profile, dpi=photo.dpi, threads=available_cores())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageFailed from error
