"""The steps of one removal, in order: decode, infer, crop and scale, refine, compose, encode."""

import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from shared.errors import StorageFailed
from shared.file_replace import replace
from shared.formats import result_name
from shared.messages import RemovalJob, RemovalResult
from shared.option_validation import parse_margin
from shared.options import RemovalOptions
from worker.engines import Engine
from worker.imaging import compositing, decode, geometry
from worker.imaging.encoding import Encoder, Picture
from worker.imaging.geometry import Box, Cut, Pixels
from worker.imaging.matting import matte

INFERENCE_PERCENT, REFINE_PERCENT, SAVE_PERCENT = 45, 80, 85
Report = Callable[[float, str], None]


class StepClock:
    """Measures named steps in milliseconds."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside, on top of what that step took before."""
        start = time.perf_counter()
        yield
        spent_ms = (time.perf_counter() - start) * 1000
        self.timings_ms[name] = round(self.timings_ms.get(name, 0) + spent_ms, 1)


def remove(job: RemovalJob, engine: Engine, max_pixels: int, report: Report) -> RemovalResult:
    """Cut the subject of the photo at `job.source_path` out into `job.result_path`.

    `report` is told each step as (percent, message), and may raise to stop the removal between steps.
    The result appears whole or not at all. Raises errors of `shared.errors`.
    """
    clock, options = StepClock(), job.options
    encoder = Encoder(options.format, options.quality, options.lossless)
    report(5, "Decoding the image")
    with clock.step("decode"):
        photo = decode.decode(Path(job.source_path), max_pixels)
        behind = None
        if options.output != "mask":
            behind = compositing.load_background(options.background, job.background_path, max_pixels)
        if behind is not None:
            photo = photo.ready_for_background()
        if not options.crop:
            encoder.check(geometry.fitted(photo.rgb.size, options.max_size))
    report(10, "Model ready")

    def inferring(share: float) -> None:
        percent = INFERENCE_PERCENT + share * (REFINE_PERCENT - INFERENCE_PERCENT)
        report(percent, "Removing the background")

    inferring(0)
    with clock.step("inference"):
        alpha = matte(photo.for_network(), engine, inferring, options.detail)
    report(REFINE_PERCENT, "Laying out the result")
    with clock.step("encode"):
        whole = _cut(photo, alpha)
        box, coverage = geometry.subject_box(whole.alpha), geometry.coverage(whole.alpha)
        frame = _framed(box, whole.rgb.size, options)
        cut = _laid_out(whole.part(frame), options)
        encoder.check(cut.rgb.size)
    with clock.step("refine"):
        colours = (compositing.refined_colours if _is_refined(options) else compositing.photo_colours)(cut)
    report(SAVE_PERCENT, "Saving the result")
    with clock.step("encode"):
        pictures = _pictures(photo, cut, colours, behind, options)
        _save(job, pictures, encoder)
    return RemovalResult(
        *cut.rgb.size,
        options.format if len(pictures) == 1 else "zip",
        engine.model_info.model_id,
        engine.model_info.device,
        clock.timings_ms,
        subject=box is not None,
        coverage=round(coverage, 4),
        box=None if box is None else (*box,),  # plain tuples: the supervisor knows no Box
        frame=(*frame,),
    )


def _is_refined(options: RemovalOptions) -> bool:
    return options.refine and options.output != "mask"


def _cut(photo: decode.Photo, alpha: Pixels) -> Cut:
    """Return the photo with the network's `alpha` times its own transparency, if any pixel has some."""
    own = photo.alpha
    if own is None or own.min(initial=255) == 255:
        return Cut(photo.rgb, None, alpha)
    product = ((alpha.astype(np.uint16) * own + 127) // 255).astype(np.uint8)
    return Cut(photo.rgb, own, product)


def _framed(box: Box | None, size: tuple[int, int], options: RemovalOptions) -> Box:
    """Return what of a photo of `size` (width, height), with its subject in `box`, becomes the result."""
    if not options.crop or box is None:
        return Box(0, 0, *size)
    return geometry.with_margin(box, parse_margin(options.crop_margin), size)


def _laid_out(cut: Cut, options: RemovalOptions) -> Cut:
    """Return it at the result's size."""
    size = geometry.fitted(cut.rgb.size, options.max_size)
    if size == cut.rgb.size:
        return cut
    if options.output == "mask":
        return cut.scaled_shape(size)
    return cut.scaled(size, keeps_mixture=_is_refined(options))


def _pictures(
    photo: decode.Photo,
    cut: Cut,
    colours: compositing.Colours,
    behind: compositing.Background | None,
    options: RemovalOptions,
) -> dict[str, Picture]:
    """Return the pictures to write, by what they are."""
    shape, pictures = cut.alpha.shape, {}
    if options.output != "mask":
        rows, channels = compositing.cutout(cut.alpha, colours), 4
        if behind is not None:
            backdrop = behind.covering(cut.rgb.size, photo.icc_profile)
            backdrop = backdrop.on_white() if options.format == "jpeg" else backdrop
            rows = compositing.over(backdrop, cut.alpha, colours)
            channels = 3 if backdrop.is_opaque else 4
        pictures["cutout"] = Picture((*shape, channels), rows, photo.icc_profile, photo.dpi)
    if options.output != "cutout":
        # A mask is no colour picture: a colour profile would make viewers change its greys.
        pictures["mask"] = Picture(shape, lambda top, bottom: cut.alpha[top:bottom], None, photo.dpi)
    return pictures


def _save(job: RemovalJob, pictures: dict[str, Picture], encoder: Encoder) -> None:
    path = Path(job.result_path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            _write(job.stem, pictures, encoder, stream)
        replace(part, path)
    except OSError as error:
        raise StorageFailed from error


def _write(stem: str, pictures: dict[str, Picture], encoder: Encoder, stream: IO[bytes]) -> None:
    """Write the only picture, or all of them into a zip. Packed already, they are stored as they are."""
    if len(pictures) == 1:
        (picture,) = pictures.values()
        encoder.write(picture, stream)
        return
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for content, picture in pictures.items():
            with archive.open(result_name(stem, content, encoder.format), "w") as entry:
                encoder.write(picture, entry)
