"""Estimates the peak memory of a removal from its image's header and options, before anything is decoded.

The figures are bytes per pixel: the growth of the process's peak resident set size, for 25 megapixels.
`tests/model/test_memory.py` compares them with removals.

Source: RFC 9649 (WebP container and lossless bitstream), RFC 6386, 9.1 (VP8 frame header).
"""

from dataclasses import dataclass
from pathlib import Path

from shared.errors import BadInput
from shared.formats import SIGNATURE_BYTES, detect_format
from shared.messages import RemovalJob
from worker.imaging.exif_tags import DECODE_ERRORS
from worker.imaging.image_header import read_mode_and_size
from worker.imaging.layout import bound_pixels

FIXED_BYTES = 64_000_000  # the network's input and output, Pillow's block cache, the threads' strips
_MARGIN = 1.1
_DECODE, _DECODE_OTHER = {"WEBP": 16.5, "AVIF": 11.0, "HEIF": 11.0}, 8.0
_DECODE_WITH_ALPHA, _DECODE_OTHER_WITH_ALPHA = {"WEBP": 24.5, "AVIF": 19.0, "HEIF": 19.0}, 15.0
_DECODE_DEEP = {"I": 17.0, "F": 21.0}  # by the mode's first letter: 16 or 32 bits, and float
_RETAINED = {"WEBP": 8.0, "JPEG": 1.5}  # by Pillow's decoders, for a while
_REFINE, _REFINE_WITH_ALPHA = 8.0, 15.0
_RESIZE, _RESIZE_WITH_ALPHA = 12.5, 22.0
_ENCODE = {"png": 8.0, "jpeg": 11.0, "webp": 28.0}  # of the result's pixels, the matte included
_LAYER = 4.0  # the background at the result's size
_WEBP_HEADER_BYTES, _VP8X_ALPHA = 30, 0x10


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of an image's header: format and mode, in Pillow's names, and size (width, height)."""

    format: str
    mode: str
    size: tuple[int, int]
    has_alpha: bool

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.size[0] * self.size[1]


def estimate_removal_bytes(job: RemovalJob, max_pixels: int) -> int:
    """Return the peak memory of a removal, in bytes; an image that decoding will refuse counts as nothing."""
    header = read_header(Path(job.source_path))
    if header is None or header.pixels > max_pixels:
        return 0
    need = header.pixels * max(_estimate_decode_cost(header), _estimate_process_cost(header, job, max_pixels))
    if job.background_path is not None and job.options.output != "mask":
        background = read_header(Path(job.background_path))
        if background is not None and background.pixels <= max_pixels:
            # It stays while the image is processed.
            need += background.pixels * max(_estimate_decode_cost(background), 4 + _REFINE)
    if job.mask_path is not None:
        mask = read_header(Path(job.mask_path))
        if mask is not None and mask.pixels <= max_pixels:
            need += mask.pixels * _estimate_decode_cost(mask)
    return FIXED_BYTES + round(_MARGIN * need)


def read_header(path: Path) -> Header | None:
    """Read the header of an image file; None if it cannot be read, which decoding then reports."""
    try:
        with path.open("rb") as file:
            image_format = detect_format(file.read(SIGNATURE_BYTES))
            if image_format is None:
                return None
            if image_format.name == "WEBP":
                file.seek(0)
                return _read_webp_header(file.read(_WEBP_HEADER_BYTES))
            if image_format.name == "HEIF":
                return _read_heif_header(path)
            mode, size, has_alpha = read_mode_and_size(file, image_format.name)
            return Header(image_format.name, mode, size, has_alpha)
    except (BadInput, ImportError, *DECODE_ERRORS):
        return None


def _read_webp_header(start: bytes) -> Header | None:
    """Parse the first chunk. Pillow would allocate, and clear, the decoder's canvases."""
    match start[12:16]:
        case b"VP8X":
            has_alpha = bool(start[20] & _VP8X_ALPHA)
            width, height = (1 + int.from_bytes(start[at : at + 3], "little") for at in (24, 27))
        case b"VP8L":
            bits = int.from_bytes(start[21:25], "little")
            has_alpha, width, height = bool(bits >> 28 & 1), 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            has_alpha = False
            width, height = (int.from_bytes(start[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        case _:
            return None
    return Header("WEBP", "RGBA" if has_alpha else "RGB", (width, height), has_alpha)


def _read_heif_header(path: Path) -> Header:
    from pillow_heif import open_heif  # noqa: PLC0415 - takes 50 ms to load, and few images need it

    image = open_heif(path)
    return Header("HEIF", image.mode, image.size, image.has_alpha)


def _estimate_decode_cost(header: Header) -> float:
    if header.mode[0] in _DECODE_DEEP:
        return _DECODE_DEEP[header.mode[0]]
    if header.has_alpha:
        return _DECODE_WITH_ALPHA.get(header.format, _DECODE_OTHER_WITH_ALPHA)
    return _DECODE.get(header.format, _DECODE_OTHER)


def _estimate_process_cost(header: Header, job: RemovalJob, max_pixels: int) -> float:
    """Return the bytes per pixel of the image from inference to encoding."""
    options = job.options
    share = min(bound_pixels(header.size, options), max_pixels) / header.pixels
    if share != 1 or options.canvas is not None or options.scale is not None:
        layout = _RESIZE_WITH_ALPHA if header.has_alpha else _RESIZE
    else:
        layout = _REFINE_WITH_ALPHA if header.has_alpha else _REFINE
    has_layer = job.background_path or options.background or options.shadow != "none"
    layer = _LAYER if has_layer and options.output != "mask" else 0
    encode = share * (_ENCODE["jpeg" if options.output == "layers" else options.format] + layer)
    return max(_RETAINED.get(header.format, 0) + layout, encode)
