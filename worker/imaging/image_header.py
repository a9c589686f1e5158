"""Reads an image's mode and size without decoding it, within the same bounds as decoding."""

import io
from mmap import ACCESS_READ, mmap
from typing import BinaryIO

from PIL import Image

from worker.imaging.containers.camera_raw import find_preview
from worker.imaging.containers.file_view import Bytes, FileView
from worker.imaging.containers.tiff_directories import LENGTH, WIDTH, TiffFile, check_tiff
from worker.imaging.containers.tiff_planes import read_layout
from worker.imaging.decode import WALKS

_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")

ModeAndSize = tuple[str, tuple[int, int], bool]


def read_mode_and_size(file: BinaryIO, name: str) -> ModeAndSize:
    """Return the mode and size of an image file of the format `name`, and whether it has an alpha channel.

    Raises DamagedImage, NotAnImage for camera raw without a preview, or DECODE_ERRORS.
    """
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return _read_tiff(file, content) if name == "TIFF" else _open(file, content, name)


def _read_tiff(file: BinaryIO, content: mmap) -> ModeAndSize:
    tiff = TiffFile(content)
    check_tiff(tiff, len(content))
    if preview := find_preview(content, tiff):
        return _open(file, preview.content, "JPEG")
    first = tiff.chain[0] if tiff.chain else None
    if first and (layout := read_layout(first)):
        size = first.read_one(WIDTH), first.read_one(LENGTH)
        return "I;16" if layout.bits == 16 else layout.mode, size, bool(layout.alpha)
    return _open(file, content, "TIFF")


def _open(file: BinaryIO, content: Bytes, name: str) -> ModeAndSize:
    source: BinaryIO = file
    if name in WALKS:
        source = io.BufferedReader(FileView(content, WALKS[name](content).parts))
    with Image.open(source, formats=[name]) as image:
        return image.mode, image.size, image.mode in _ALPHA_MODES or "transparency" in image.info
