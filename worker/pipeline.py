"""The steps of one removal: decode, infer, crop and resize, estimate foreground, composite, encode."""

import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from shared.errors import StorageFailed
from shared.file_replace import replace_with_retry
from shared.formats import result_name
from shared.messages import RemovalJob, RemovalResult
from shared.option_validation import parse_margin
from shared.options import RemovalOptions
from worker.engines import Engine, ProgressFn
from worker.imaging import compositing, decode, geometry
from worker.imaging.encoding import Encoder, OutputImage
from worker.imaging.geometry import Box, Matted, Pixels
from worker.imaging.matting import compute_matte, multiply_alpha

INFERENCE_PERCENT, REFINE_PERCENT, SAVE_PERCENT = 45, 80, 85
ReportFn = Callable[[float, str], None]


class StepTimer:
    """Measures named steps in milliseconds."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the step's total."""
        start = time.perf_counter()
        yield
        spent_ms = (time.perf_counter() - start) * 1000
        self.timings_ms[name] = round(self.timings_ms.get(name, 0) + spent_ms, 1)


def remove(job: RemovalJob, engine: Engine, max_pixels: int, report: ReportFn) -> RemovalResult:
    """Remove the background of the image at `job.source_path` and write the result to `job.result_path`.

    `report(percent, message)` is called at each step, and may raise to cancel. The result is written
    atomically. Raises errors of `shared.errors`.
    """
    timer, options = StepTimer(), job.options
    encoder = Encoder(options.format, options.quality, options.lossless)
    report(5, "Decoding the image")
    with timer.measure("decode"):
        image, background = _decode(job, max_pixels)
        if not options.crop:
            encoder.check_size(geometry.fit_within(image.rgb.size, options.max_size))
    report(10, "Model ready")
    report_inference = _inference_reporter(report)
    report_inference(0)
    with timer.measure("inference"):
        alpha, model = compute_matte(image.to_model_input(), engine, report_inference, options.detail)
    report(REFINE_PERCENT, "Laying out the result")
    with timer.measure("encode"):
        whole = _apply_input_alpha(image, alpha)
        box, coverage = geometry.find_subject_box(whole.alpha), geometry.measure_coverage(whole.alpha)
        frame = _choose_frame(box, whole.rgb.size, options)
        matted = _resize_result(whole.crop(frame), options)
        size = matted.rgb.size
        encoder.check_size(size)
        icc_profile, dpi, warnings = image.icc_profile, image.dpi, image.warnings
        del image, whole, alpha  # here and below: whole images, and encoding takes much memory
    with timer.measure("refine"):
        estimate = compositing.foreground_colours if _is_refined(options) else compositing.original_colours
        colours, alpha = estimate(matted), matted.alpha
        del matted
    report(SAVE_PERCENT, "Saving the result")
    with timer.measure("encode"):
        images = _composite(alpha, colours, background, options, icc_profile, dpi)
        del colours, alpha, background
        count = len(images)
        _save(job, images, encoder)
    return RemovalResult(
        *size,
        options.format if count == 1 else "zip",
        model.model_id,
        model.device,
        timer.timings_ms,
        subject=box is not None,
        coverage=round(coverage, 4),
        box=None if box is None else (*box,),  # plain tuples: the supervisor cannot import Box
        frame=(*frame,),
        warnings=warnings,
    )


def _decode(
    job: RemovalJob, max_pixels: int
) -> tuple[decode.DecodedImage, compositing.BackgroundSource | None]:
    """Return the image, and the background if the result has one."""
    image = decode.decode(Path(job.source_path), max_pixels)
    if job.options.output == "mask":
        return image, None
    background = compositing.load_background(job.options.background, job.background_path, max_pixels)
    return image if background is None else image.with_convertible_profile(), background


def _inference_reporter(report: ReportFn) -> ProgressFn:
    """Return a function that reports the share of the inference as its part of the removal's percent."""

    def report_inference(share: float) -> None:
        percent = INFERENCE_PERCENT + share * (REFINE_PERCENT - INFERENCE_PERCENT)
        report(percent, "Removing the background")

    return report_inference


def _is_refined(options: RemovalOptions) -> bool:
    return options.refine and options.output != "mask"


def _apply_input_alpha(image: decode.DecodedImage, alpha: Pixels) -> Matted:
    """Return the image with the predicted `alpha` multiplied by its own, if any pixel is transparent."""
    input_alpha = image.alpha
    if input_alpha is None or input_alpha.min(initial=255) == 255:
        return Matted(image.rgb, None, alpha)
    multiply_alpha(alpha, input_alpha)
    return Matted(image.rgb, input_alpha, alpha)


def _choose_frame(box: Box | None, size: tuple[int, int], options: RemovalOptions) -> Box:
    """Return the part of an image of `size` (width, height), with its subject in `box`, to output."""
    if not options.crop or box is None:
        return Box(0, 0, *size)
    return geometry.add_margin(box, parse_margin(options.crop_margin), size)


def _resize_result(matted: Matted, options: RemovalOptions) -> Matted:
    size = geometry.fit_within(matted.rgb.size, options.max_size)
    if size == matted.rgb.size:
        return matted
    if options.output == "mask":
        return matted.resize_alpha_only(size)
    return matted.resize(size, keep_background_mix=_is_refined(options))


def _composite(
    alpha: Pixels,
    colours: compositing.ColourRows,
    background: compositing.BackgroundSource | None,
    options: RemovalOptions,
    icc_profile: bytes | None,
    dpi: tuple[float, float] | None,
) -> dict[str, OutputImage]:
    """Return the images to write, by their content: "cutout", "mask" or both."""
    shape, images = alpha.shape, {}
    if options.output != "mask":
        rows, channels = compositing.cutout_rows(alpha, colours), 4
        if background is not None:
            layer = background.to_layer(shape[::-1], icc_profile)
            layer = layer.flatten_on_white() if options.format == "jpeg" else layer
            rows = compositing.composite_over(layer, alpha, colours)
            channels = 3 if layer.is_opaque else 4
        images["cutout"] = OutputImage((*shape, channels), rows, icc_profile, dpi)
    if options.output != "cutout":
        # A mask holds no colours: with a colour profile, viewers would change its greys.
        images["mask"] = OutputImage(shape, lambda top, bottom: alpha[top:bottom], None, dpi)
    return images


def _save(job: RemovalJob, images: dict[str, OutputImage], encoder: Encoder) -> None:
    path = Path(job.result_path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            _write(job.stem, images, encoder, stream)
        replace_with_retry(part, path)
    except OSError as error:
        raise StorageFailed from error


def _write(stem: str, images: dict[str, OutputImage], encoder: Encoder, stream: IO[bytes]) -> None:
    """Write the only image, or a zip of all. Image files are compressed already, so the zip stores them."""
    if len(images) == 1:
        (image,) = images.values()
        encoder.write(image, stream)
        return
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for content, image in images.items():
            with archive.open(result_name(stem, content, encoder.format), "w") as entry:
                encoder.write(image, entry)
