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
        alpha = engine.alpha(photo.on_white(), inferring, job.options.detail)
    report(SAVE_PERCENT, "Saving the result")
    with clock.step("encode"):
        alpha = alpha if photo.alpha is None else _multiplied(alpha, photo.alpha)
        _save(job, photo, alpha)
    height, width = alpha.shape
    facts = engine.facts
    return RemovalResult(width, height, "png", facts.model_id, facts.device, clock.timings_ms)


def _multiplied(alpha: NDArray[np.uint8], own: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the product of two alphas, rounded, in 0..255."""
    return ((alpha.astype(np.uint16) * own + 127) // 255).astype(np.uint8)


def _cutout(photo: image_io.Photo, alpha: NDArray[np.uint8]) -> png.Rows:
    """Return the rows of straight RGBA. Hidden pixels are black: they show nowhere, and pack to nothing."""
    width = photo.rgb.width

    def rows(top: int, bottom: int) -> NDArray[np.uint8]:
        rgba = np.array(photo.rgb.crop((0, top, width, bottom)).convert("RGBA"))
        rgba[..., 3] = alpha[top:bottom]
        packed = rgba.view(np.uint32)[..., 0]
        packed *= alpha[top:bottom] != 0
        return rgba

    return rows


def _save(job: RemovalJob, photo: image_io.Photo, alpha: NDArray[np.uint8]) -> None:
    if job.options.output == "mask":
        # A mask is no colour picture: a colour profile would make viewers change its greys.
        shape, rows, profile = alpha.shape, lambda top, bottom: alpha[top:bottom], None
    else:
        shape, rows, profile = (*alpha.shape, 4), _cutout(photo, alpha), photo.icc_profile
    path = Path(job.result_path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            png.encode(shape, rows, stream, icc_profile=profile, dpi=photo.dpi, threads=available_cores())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageFailed from error
