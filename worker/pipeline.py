"""The steps of one removal: decode, infer, lay out, estimate foreground, composite, encode."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.messages import ModelInfo, RemovalJob, RemovalResult
from shared.options import RemovalOptions
from worker.engines import Engine, ProgressFn
from worker.imaging import compositing, decode, geometry, layout
from worker.imaging.binary_mask import binarise
from worker.imaging.encoding import Encoder
from worker.imaging.geometry import Box, Pixels
from worker.imaging.matted_image import MattedImage
from worker.imaging.matting import find_region, multiply_alpha
from worker.imaging.shadow import find_shadow_extent, render_shadow
from worker.matte_source import keep_matte, make_matte
from worker.result_images import compose_images, save_images

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


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the subject is in the photo, and where the result shows it.

    `box` (None without a subject) and `coverage`, 0 to 1, are those of the matte of the photo, whose size is
    `photo_size` (width, height). The result, laid out by `plan`, shows the photo in its part `target`.
    """

    photo_size: tuple[int, int]
    box: Box | None
    coverage: float
    plan: layout.Layout
    target: Box


def remove(job: RemovalJob, engine: Engine, max_pixels: int, report: ReportFn) -> RemovalResult:
    """Remove the background of the image at `job.source_path` and write the result to `job.result_path`.

    `report(percent, message)` is called at each step, and may raise to cancel. The result is written
    atomically. Raises errors of `shared.errors`.
    """
    timer, options = StepTimer(), job.options
    report(5, "Decoding the image")
    with timer.measure("decode"):
        image, background = _decode(job, max_pixels)
        region = find_region(image.rgb.size, options.roi)
        if not options.crop:
            _check_size(layout.plan_layout(None, None, image.rgb.size, options), options, max_pixels)
    report(10, "Model ready")
    report_inference = _make_inference_reporter(report)
    report_inference(0)
    with timer.measure("inference"):
        alpha, model = make_matte(job, image, engine, region, max_pixels, report_inference)
    with timer.measure("encode"):
        keep_matte(job, alpha)  # as it is before any option changes it: an edit may change them
    report(REFINE_PERCENT, "Laying out the result")
    with timer.measure("encode"):
        alpha = binarise(alpha) if options.post_process_mask else alpha
        placement, piece = _lay_out(_apply_input_alpha(image, alpha), options, max_pixels)
        profile, dpi, warnings = image.icc_profile, image.dpi, image.warnings
        del image, alpha  # here and below: whole images, and encoding takes much memory
    with timer.measure("refine"):
        colours, matte = _pad(piece, placement, options)
        del piece
    report(SAVE_PERCENT, "Saving the result")
    with timer.measure("encode"):
        shadow = _make_shadow(matte, placement, options)
        images = compose_images(matte, colours, background, shadow, options, profile, dpi)
        del colours, matte, background, shadow
        file_format = save_images(job, images)
    return _describe_result(placement, file_format, model, timer.timings_ms, warnings)


def _decode(
    job: RemovalJob, max_pixels: int
) -> tuple[decode.DecodedImage, compositing.BackgroundSource | None]:
    """Return the image, and the background if the result has one."""
    image, options = decode.decode(Path(job.source_path), max_pixels), job.options
    if options.output == "mask":
        return image, None
    colour = options.background
    if colour is None and options.format == "jpeg" and options.output != "layers":
        colour = "white"  # a JPEG has no transparency
    background = compositing.load_background(colour, job.background_path, max_pixels)
    has_layer = background is not None or options.shadow != "none"
    return image.with_convertible_profile() if has_layer else image, background


def _lay_out(whole: MattedImage, options: RemovalOptions, max_pixels: int) -> tuple[Placement, MattedImage]:
    """Plan the result of a whole image, and return the piece that it shows, at the result's scale.

    Raises ResultTooLarge, and InvalidOption for margins that leave no room.
    """
    box, size = geometry.find_subject_box(whole.alpha), whole.rgb.size
    plan = _plan(box, whole.alpha, options)
    _check_size(plan, options, max_pixels)
    shows_all = plan.scale_factor == 1 or options.output == "layers"
    part = Box(0, 0, *size) if shows_all else layout.find_visible_part(whole.alpha)
    placement = Placement(size, box, geometry.measure_coverage(whole.alpha), plan, plan.find_target(part))
    piece = layout.cut_out(
        whole,
        plan,
        placement.target,
        keep_background_mix=_is_refined(options),
        is_mask=options.output == "mask",
    )
    return placement, piece


def _pad(
    piece: MattedImage, placement: Placement, options: RemovalOptions
) -> tuple[compositing.ColourRows, Pixels]:
    """Return the subject's colours, estimated with `refine`, and the matte, both of the result's size."""
    refined = _is_refined(options)
    estimate = compositing.estimate_foreground_colours if refined else compositing.read_original_colours
    target, size = placement.target, placement.plan.size
    colours = compositing.pad_colours(estimate(piece), target, size)
    return colours, compositing.pad_alpha(piece.alpha, target, size)


def _make_shadow(matte: Pixels, placement: Placement, options: RemovalOptions) -> Pixels | None:
    """Return the opacity of the shadow, (H, W), if the result has one."""
    if options.shadow == "none" or options.output == "mask" or placement.box is None:
        return None
    return render_shadow(matte, placement.plan.to_result(placement.box), options)


def _describe_result(
    placement: Placement,
    file_format: str,
    model: ModelInfo,
    timings_ms: dict[str, float],
    warnings: tuple[str, ...],
) -> RemovalResult:
    box, plan = placement.box, placement.plan
    return RemovalResult(
        *plan.size,
        file_format,
        model.model_id,
        model.device,
        timings_ms,
        subject=box is not None,
        coverage=round(placement.coverage, 4),
        box=None if box is None else (*box,),  # plain tuples: the supervisor cannot import Box
        frame=(*plan.frame,),
        scale_factor=round(plan.scale_factor, 6),
        photo_width=placement.photo_size[0],
        photo_height=placement.photo_size[1],
        warnings=warnings,
    )


def _plan(box: Box | None, alpha: Pixels, options: RemovalOptions) -> layout.Layout:
    """Return the layout of the result.

    With `crop`, the subject's box has all its visible pixels, faint specks included; without, its core alone.
    """
    image_size = (alpha.shape[1], alpha.shape[0])
    if box is not None and not options.crop and (options.canvas or options.scale or options.position):
        return layout.plan_layout(geometry.find_core_box(alpha), None, image_size, options)
    has_shadow = box is not None and options.shadow != "none" and options.output != "mask"
    extent = find_shadow_extent(box, options) if box is not None and has_shadow else box
    return layout.plan_layout(box, extent, image_size, options)


def _check_size(plan: layout.Layout, options: RemovalOptions, max_pixels: int) -> None:
    """Raise ResultTooLarge for a result that is too large for its format or for the service."""
    layout.check_pixels(plan, max_pixels)
    Encoder("jpeg" if options.output == "layers" else options.format).check_size(plan.size)


def _make_inference_reporter(report: ReportFn) -> ProgressFn:
    """Return a function that reports the share of the inference as its part of the removal's percent."""

    def report_inference(share: float) -> None:
        percent = INFERENCE_PERCENT + share * (REFINE_PERCENT - INFERENCE_PERCENT)
        report(percent, "Removing the background")

    return report_inference


def _is_refined(options: RemovalOptions) -> bool:
    return options.refine and options.output != "mask"


def _apply_input_alpha(image: decode.DecodedImage, alpha: Pixels) -> MattedImage:
    """Return the image with the predicted `alpha` multiplied by its own, if any pixel is transparent."""
    input_alpha = image.alpha
    if input_alpha is None or input_alpha.min(initial=255) == 255:
        return MattedImage(image.rgb, None, alpha)
    multiply_alpha(alpha, input_alpha)
    return MattedImage(image.rgb, input_alpha, alpha)
