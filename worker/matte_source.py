"""Where a removal's matte comes from, a network or a mask that the client sent, and how it is kept."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from shared.catalog import NO_MODEL
from shared.errors import MaskSizeMismatch, StorageFailed
from shared.file_replace import replace_with_retry
from shared.messages import ModelInfo, RemovalJob
from worker.engines import Engine, ProgressFn
from worker.imaging import decode, png_writer
from worker.imaging.exif_tags import DECODE_ERRORS
from worker.imaging.geometry import Box, Pixels
from worker.imaging.matting import compute_matte
from worker.imaging.parallel import available_cores, resize

MASK = ModelInfo(NO_MODEL, "cpu", "uint8")  # stands for the model where there is none
MAX_ASPECT_ERROR = 0.01


def make_matte(
    job: RemovalJob,
    image: decode.DecodedImage,
    engine: Engine,
    region: Box | None,
    max_pixels: int,
    on_progress: ProgressFn,
) -> tuple[Pixels, ModelInfo]:
    """Return the matte of an upright image, (H, W), and the model that made it: `MASK` for a mask.

    The matte is 0 outside of `region`. Raises MaskSizeMismatch, and what decoding and inference raise.
    """
    if job.mask_path is None:
        return compute_matte(image.to_model_input(), engine, on_progress, job.options.detail, region)
    alpha = read_mask(Path(job.mask_path), image.rgb.size, max_pixels)
    if region is not None:
        left, top, right, bottom = region.corners
        inside = alpha[top:bottom, left:right].copy()
        alpha[:] = 0
        alpha[top:bottom, left:right] = inside
    return alpha, MASK


def read_mask(path: Path, size: tuple[int, int], max_pixels: int) -> Pixels:
    """Return a mask file as the matte of a photo of `size` (width, height), scaled to it.

    Its alpha channel counts where that is transparent anywhere, else its grey. Raises MaskSizeMismatch for
    another aspect ratio, and what `decode` raises.
    """
    grey_png = _read_grey_png(path, size)
    if grey_png is not None:
        return grey_png
    mask = decode.decode(path, max_pixels)
    width, height = mask.rgb.size
    if abs(width * size[1] / (height * size[0]) - 1) > MAX_ASPECT_ERROR:
        raise MaskSizeMismatch(
            f"The mask has {width} x {height} pixels and the upright photo {size[0]} x {size[1]}: "
            "send a mask of the photo's aspect ratio."
        )
    has_alpha = mask.alpha is not None and mask.alpha.min(initial=255) < 255
    grey = Image.fromarray(mask.alpha) if has_alpha and mask.alpha is not None else mask.rgb.convert("L")
    return np.array(grey) if grey.size == size else resize(grey, size, Image.Resampling.BICUBIC)


def _read_grey_png(path: Path, size: tuple[int, int]) -> Pixels | None:
    """Return a grey PNG of that size, as `keep_matte` writes it: `decode` takes twice as long; else None."""
    if not _is_grey_png(path, size):
        return None
    try:
        with Image.open(path) as image:
            return np.array(image)
    except DECODE_ERRORS:
        return None  # which `decode` then reports


def _is_grey_png(path: Path, size: tuple[int, ...]) -> bool:
    """Whether a file's header is that of a grey PNG of that size, which no other field changes."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            is_plain = not {"exif", "transparency"} & image.info.keys()
            return image.mode == "L" and image.size == size and is_plain
    except DECODE_ERRORS:
        return False


def keep_matte(job: RemovalJob, alpha: Pixels) -> None:
    """Write the matte as a grey PNG to `job.alpha_path`, if it is to be kept. Raises StorageFailed."""
    if job.alpha_path is None:
        return
    path = Path(job.alpha_path)
    part = path.with_name(path.name + ".part")
    is_unchanged = job.options.roi is None and job.mask_path is not None
    try:
        if is_unchanged and job.mask_path and _is_grey_png(Path(job.mask_path), alpha.shape[::-1]):
            shutil.copyfile(job.mask_path, part)
        else:
            with part.open("wb") as stream:
                png_writer.encode(
                    alpha.shape,
                    lambda top, bottom: alpha[top:bottom],
                    stream,
                    threads=available_cores(),
                    fast=True,
                )
        replace_with_retry(part, path)
    except OSError as error:
        raise StorageFailed from error
