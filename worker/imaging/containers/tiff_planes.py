"""Decodes TIFFs whose samples Pillow mixes up or refuses: 16 bits in separate planes, and grey with alpha.

Each plane is opened as a grey TIFF of its own: the same file with another directory. Interleaved grey and
alpha are opened as one grey image of twice the width.

Source: TIFF 6.0 (Adobe, 1992), sections 8 (PlanarConfiguration), 14 (predictor), 18 (alpha).
"""

import io
import struct
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.imaging.containers import tiff_directories as tags
from worker.imaging.containers.file_view import FileView
from worker.imaging.containers.tiff_directories import Directory, TiffFile

_LOSSLESS = (1, 5, 8, 32773, 32946)  # none, LZW, deflate, PackBits, deflate
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_COLOURS = {_WHITE_IS_ZERO: "L", _BLACK_IS_ZERO: "L", 2: "RGB", 5: "CMYK"}
_PREMULTIPLIED, _STRAIGHT = 1, 2
_SEPARATE_PLANES, _DIFFERENCING = 2, 2
_SHORT, _LONG = 3, 4
_KEPT = (257, 259, 266, 278, 282, 283, 296, 317, 322, 323, 34675)  # layout, resolution and ICC profile
_TO_8_BITS = np.rint(np.arange(65536) / 257).astype(np.uint8)

Info = dict[str | tuple[int, int], Any]
Tags = dict[int, tuple[int, ...]]
Samples = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a TIFF stores its samples."""

    mode: str  # Pillow's, without alpha
    bits: int
    samples: int
    is_planar: bool
    alpha: int  # 0, _PREMULTIPLIED or _STRAIGHT


def read_layout(directory: Directory) -> Layout | None:
    """Return the layout of an image that Pillow would mix up or refuse; None if Pillow can read it."""
    bits, samples = set(directory.read(tags.BITS)), directory.read_one(tags.SAMPLES_PER_PIXEL, 1)
    mode = _COLOURS.get(directory.read_one(tags.PHOTOMETRIC, -1), "")
    is_planar = directory.read_one(tags.PLANAR) == _SEPARATE_PLANES
    extra = samples - len(mode)
    is_grey_with_extra = mode == "L" and extra == 1
    if not (is_grey_with_extra or (is_planar and (bits == {16} or samples == 1))):
        return None
    if not mode or extra not in (0, 1) or (extra and mode == "CMYK") or bits not in ({8}, {16}):
        return None
    if (
        set(directory.read(tags.SAMPLE_FORMAT)) - {1}
        or directory.read_one(tags.COMPRESSION, 1) not in _LOSSLESS
    ):
        return None
    alpha = directory.read_one(tags.EXTRA_SAMPLES) if extra else 0
    return Layout(mode, bits.pop(), samples, is_planar, alpha if alpha in (_PREMULTIPLIED, _STRAIGHT) else 0)


def decode_planes(content: mmap, tiff: TiffFile, layout: Layout) -> Image.Image:
    """Return the loaded image in 8 bits, with its resolution and ICC profile in `info`; not rotated."""
    directory = tiff.chain[0]
    if layout.is_planar:
        planes: list[NDArray[np.unsignedinteger]] = []
        info: Info = {}
        for plane in range(layout.samples):
            samples, info = _decode(content, tiff, _plane_tags(directory, layout, plane))
            planes.append(samples)
    else:
        both, info = _decode(content, tiff, _widened_tags(directory))
        pairs = both.reshape(both.shape[0], -1, 2)
        if directory.read_one(tags.PREDICTOR) == _DIFFERENCING:
            pairs = _undo_differencing(pairs, directory.read_one(tags.TILE_WIDTH) or pairs.shape[1])
        planes = [pairs[..., 0], pairs[..., 1]]
    return _merge([_to_8_bits(plane) for plane in planes], directory, layout, info)


def _merge(planes: list[Samples], directory: Directory, layout: Layout, info: Info) -> Image.Image:
    if directory.read_one(tags.PHOTOMETRIC) == _WHITE_IS_ZERO:
        planes[0] = 255 - planes[0]
    mode = layout.mode + {0: "", _PREMULTIPLIED: "a", _STRAIGHT: "A"}[layout.alpha]
    bands = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes[: len(mode)]]
    image = Image.merge(mode, bands)
    image.info.update({key: info[key] for key in ("dpi", "icc_profile") if key in info})
    return image


def _plane_tags(directory: Directory, layout: Layout, plane: int) -> Tags:
    """Return the changed tags of one plane's directory: its strips or tiles follow the plane's before."""
    changed: Tags = {tags.WIDTH: (directory.read_one(tags.WIDTH),)}
    for tag in (tags.STRIP_OFFSETS, tags.STRIP_BYTES, tags.TILE_OFFSETS, tags.TILE_BYTES):
        values = directory.read(tag)
        count = len(values) // layout.samples
        changed[tag] = values[plane * count : (plane + 1) * count]
    return changed


def _widened_tags(directory: Directory) -> Tags:
    changed: Tags = {tag: (2 * directory.read_one(tag),) for tag in (tags.WIDTH, tags.TILE_WIDTH)}
    for tag in (tags.STRIP_OFFSETS, tags.STRIP_BYTES, tags.TILE_OFFSETS, tags.TILE_BYTES):
        changed[tag] = directory.read(tag)
    return changed | {tags.PREDICTOR: (1,)}


def _decode(content: mmap, tiff: TiffFile, changed: Tags) -> tuple[NDArray[np.unsignedinteger], Info]:
    """Decode the file with a directory of one grey sample per pixel; return its samples, (H, W), and info."""
    directory = tiff.chain[0]
    fields = {tag: directory.entries[tag] for tag in _KEPT if tag in directory.entries}
    single = {tags.BITS: directory.read(tags.BITS)[:1], tags.PHOTOMETRIC: (_BLACK_IS_ZERO,)}
    single |= {tags.SAMPLES_PER_PIXEL: (1,)}
    written = {tag: values for tag, values in (single | changed).items() if any(values)}
    start = len(content)
    offset = start + 2 + 12 * len(fields.keys() | written) + 4
    entries, arrays = [], b""
    for tag in sorted(fields.keys() | written):
        if tag in written:
            packed, kind, count = _pack(tiff, written[tag]), _LONG, len(written[tag])
            field = packed if len(packed) <= 4 else _pack(tiff, (offset + len(arrays),))
            arrays += packed if len(packed) > 4 else b""
        else:
            entry = fields[tag]
            kind, count = entry.kind, entry.count
            inline = content[entry.start : entry.start + 4]
            field = inline if entry.size_bytes <= 4 else _pack(tiff, (entry.start,))
        entries.append(struct.pack(f"{tiff.order}HHI", tag, kind, count) + field.ljust(4, b"\0"))
    head = (b"MM\0*" if tiff.order == ">" else b"II*\0") + _pack(tiff, (start,))
    table = struct.pack(f"{tiff.order}H", len(entries)) + b"".join(entries) + bytes(4) + arrays
    view = FileView(content, [head, (8, start), table])
    with Image.open(io.BufferedReader(view), formats=["TIFF"]) as image:
        view.extend_budget(image.width * image.height)
        return np.asarray(image), image.info


def _pack(tiff: TiffFile, values: tuple[int, ...]) -> bytes:
    return struct.pack(f"{tiff.order}{len(values)}I", *values)


def _undo_differencing(pairs: NDArray[np.unsignedinteger], tile_width: int) -> NDArray[np.unsignedinteger]:
    """Add up the differences along each row (H, W, 2) of each tile, modulo the samples' range."""
    summed = np.empty_like(pairs, dtype=pairs.dtype.newbyteorder("="))
    for left in range(0, pairs.shape[1], tile_width):
        part = slice(left, left + tile_width)
        np.cumsum(pairs[:, part], axis=1, dtype=summed.dtype, out=summed[:, part])
    return summed


def _to_8_bits(samples: NDArray[np.unsignedinteger]) -> Samples:
    return _TO_8_BITS[samples] if samples.itemsize == 2 else samples.astype(np.uint8)
