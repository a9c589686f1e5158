"""The images of a result: their rows, composited on demand, and the file or zip that holds them."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from shared.errors import StorageFailed
from shared.file_replace import replace_with_retry
from shared.formats import EXTENSIONS, result_name
from shared.messages import RemovalJob
from shared.options import RemovalOptions
from worker.imaging import compositing
from worker.imaging.compositing import BackgroundLayer, BackgroundSource, ColourRows
from worker.imaging.encoding import Encoder, OutputImage
from worker.imaging.geometry import Pixels
from worker.imaging.png_writer import Rows

Dpi = tuple[float, float] | None
TRANSPARENT = "#00000000"


def compose_images(
    alpha: Pixels,
    colours: ColourRows,
    background: BackgroundSource | None,
    shadow: Pixels | None,
    options: RemovalOptions,
    icc_profile: bytes | None,
    dpi: Dpi,
) -> dict[str, OutputImage]:
    """Return the images to write, by their content: "cutout", "mask", or "color" and "alpha" (the layers).

    `alpha` and the opacity of the `shadow` are (H, W), of the result's size.
    """
    if options.output == "mask":
        return {"mask": _make_mask(alpha, dpi)}
    layer = _make_layer(alpha.shape, background, shadow, options, icc_profile)
    if options.output == "layers":
        color, opacity = _split_layers(alpha, colours, layer)
        return {
            "color": OutputImage((*alpha.shape, 3), color, icc_profile, dpi),
            "alpha": OutputImage(alpha.shape, opacity, None, dpi),
        }
    if layer is None:
        cutout = OutputImage((*alpha.shape, 4), compositing.compose_cutout(alpha, colours), icc_profile, dpi)
    else:
        channels = 3 if layer.is_opaque else 4
        rows = compositing.composite_over(layer, alpha, colours)
        cutout = OutputImage((*alpha.shape, channels), rows, icc_profile, dpi)
    return {"cutout": cutout} | ({"mask": _make_mask(alpha, dpi)} if options.output == "both" else {})


def _make_mask(alpha: Pixels, dpi: Dpi) -> OutputImage:
    # A mask holds no colours: with a colour profile, viewers would change its greys.
    return OutputImage(alpha.shape, lambda top, bottom: alpha[top:bottom], None, dpi)


def _make_layer(
    shape: tuple[int, ...],
    background: BackgroundSource | None,
    shadow: Pixels | None,
    options: RemovalOptions,
    icc_profile: bytes | None,
) -> BackgroundLayer | None:
    """Return what is below the subject: the background and the shadow on it; None if there is neither."""
    if background is None and shadow is None:
        return None
    source = background or compositing.make_colour_background(TRANSPARENT)
    layer = source.to_layer((shape[1], shape[0]), icc_profile)
    if options.format == "jpeg" and options.output != "layers":
        layer = layer.flatten_on_white()
    return layer if shadow is None else layer.with_shadow(options.shadow_colour, shadow, icc_profile)


def _split_layers(alpha: Pixels, colours: ColourRows, layer: BackgroundLayer | None) -> tuple[Rows, Rows]:
    """Return the rows of the colours, RGB, and of the alpha; where that is 0, the colours are the photo's."""
    if layer is None:
        return lambda top, bottom: np.asarray(colours(top, bottom)), lambda top, bottom: alpha[top:bottom]
    rows = compositing.composite_over(layer, alpha, colours)
    if layer.is_opaque:
        return rows, lambda top, bottom: np.full_like(alpha[top:bottom], 255)

    def color(top: int, bottom: int) -> Pixels:
        rgba = rows(top, bottom)
        return np.where(rgba[..., 3:] == 0, np.asarray(colours(top, bottom)), rgba[..., :3])

    return color, lambda top, bottom: np.ascontiguousarray(rows(top, bottom)[..., 3])


def save_images(job: RemovalJob, images: dict[str, OutputImage]) -> str:
    """Write the images to the job's result, atomically, and return the file's format: theirs, or "zip".

    Raises StorageFailed.
    """
    path = Path(job.result_path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            _write(job, images, stream)
        replace_with_retry(part, path)
    except OSError as error:
        raise StorageFailed from error
    return job.options.format if len(images) == 1 else "zip"


def _write(job: RemovalJob, images: dict[str, OutputImage], stream: IO[bytes]) -> None:
    """Write the only image, or a zip of all. Image files are compressed already, so the zip stores them."""
    options = job.options
    encoder = Encoder(options.format, options.quality, options.lossless)
    if len(images) == 1:
        (image,) = images.values()
        encoder.write(image, stream)
        return
    # As remove.bg's zips, whose clients join the two: JPEG with chroma subsampling, and a grey PNG.
    layers = {
        "color": Encoder("jpeg", options.quality, subsampling="4:2:0"),
        "alpha": Encoder("png"),
    }
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for content, image in images.items():
            name = result_name(job.stem, content, encoder.format)
            if content in layers:
                name = f"{content}.{EXTENSIONS[layers[content].format]}"
            with archive.open(name, "w") as entry:
                layers.get(content, encoder).write(image, entry)
