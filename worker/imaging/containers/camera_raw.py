"""Camera raw files: finds the largest embedded JPEG preview, since the sensor's data are not developed here.

DNG, NEF, CR2, ARW, PEF, SRW and others are TIFF files, whose first image is a thumbnail.

Sources: Adobe DNG Specification 1.7 (DNGVersion, CFA, LinearRaw, previews); TIFF/EP (ISO 12234-2); ExifTool's
tables of compressions and signatures.
"""

import re
from dataclasses import dataclass
from mmap import mmap

from shared.errors import NotAnImage
from worker.imaging.containers import tiff_directories as tags
from worker.imaging.containers.jpeg_segments import read_frame
from worker.imaging.containers.tiff_directories import Directory, TiffFile

_DNG_VERSION, _EXIF_DIRECTORY, _EXIF_WIDTH, _EXIF_LENGTH = 50706, 34665, 40962, 40963
_SENSOR_COLOURS = (32803, 34892)  # of PHOTOMETRIC: colour filter array, linear raw
_SENSOR_COMPRESSIONS = (32767, 32769, 32770, 32772, 34713, 65535)  # Sony, packed, Samsung, Nikon, Pentax
_JPEG = (6, 7, 34892)  # compressions
_LOSSLESS_FRAMES = (0xC3, 0xC7, 0xCB, 0xCF)  # the sensor's data in CR2 and DNG
_CR2 = b"CR"
MIN_SHARE = 0.5  # of the sensor's pixels that a preview must have
# Of raw files that are not TIFF: CR3, RAF, ORF, RW2, MRW, X3F.
_SIGNATURES = re.compile(rb".{4}ftypcrx |FUJIFILMCCD-RAW|II(?:RO|RS|U\0)|MMOR|\0MRM|FOVb", re.DOTALL)
_ADVICE = "convert it to JPEG or TIFF."


@dataclass(frozen=True, slots=True)
class Preview:
    """An embedded JPEG: its bytes, its size, and the EXIF orientation of the raw file."""

    content: bytes
    width: int
    height: int
    orientation: int

    @property
    def warning(self) -> str:
        """A sentence for the client."""
        return (
            f"The file is camera raw: its embedded preview of {self.width} x {self.height} pixels was used."
        )


def check_signature(head: bytes) -> None:
    """Raise NotAnImage for camera raw in formats of their own."""
    if _SIGNATURES.match(head):
        raise NotAnImage(f"This is a camera raw file, which is not read: {_ADVICE}")


def find_preview(content: mmap, tiff: TiffFile) -> Preview | None:
    """Return the largest preview of a camera raw file; None for other TIFFs.

    Raises NotAnImage if no preview has MIN_SHARE of the sensor's pixels.
    """
    directories = _read_all(tiff)
    if not _is_raw(content, directories):
        return None
    sensor_pixels, best = max((_count_sensor_pixels(tiff, each) for each in directories), default=0), None
    for directory in directories:
        for start, end in _find_jpegs(directory):
            frame = read_frame(content, start, end)
            if frame is None:
                continue
            marker, width, height, components = frame
            if marker in _LOSSLESS_FRAMES:
                sensor_pixels = max(sensor_pixels, width * height * (components if components < 3 else 1))
            elif best is None or width * height > best[0] * best[1]:
                best = width, height, start, end
    if best is None or best[0] * best[1] < MIN_SHARE * sensor_pixels:
        raise NotAnImage(f"This is a camera raw file without a preview in full size: {_ADVICE}")
    width, height, start, end = best
    return Preview(content[start:end], width, height, directories[0].read_one(tags.ORIENTATION, 1))


def _read_all(tiff: TiffFile) -> list[Directory]:
    """Return all directories: pages, and what they refer to."""
    found = list(tiff.chain)
    for parent in tiff.chain:
        children = tiff.read_sub_directories(parent)
        found += children
    return found[: tags.MAX_DIRECTORIES]


def _is_raw(content: mmap, directories: list[Directory]) -> bool:
    return bool(directories) and (
        content[8:10] == _CR2
        or _DNG_VERSION in directories[0].entries
        or any(
            each.read_one(tags.PHOTOMETRIC) in _SENSOR_COLOURS
            or each.read_one(tags.COMPRESSION) in _SENSOR_COMPRESSIONS
            for each in directories
        )
    )


def _count_sensor_pixels(tiff: TiffFile, directory: Directory) -> int:
    """Return the pixels of the sensor's data in a directory, or of the whole photo by its EXIF data."""
    exif = tiff.read_sub_directories(directory, _EXIF_DIRECTORY)
    announced = [each.read_one(_EXIF_WIDTH) * each.read_one(_EXIF_LENGTH) for each in exif]
    return max([0 if directory.is_reduced else directory.pixels, *announced])


def _find_jpegs(directory: Directory) -> list[tuple[int, int]]:
    """Return where a directory's JPEG data may start and end."""
    found = [(tags.JPEG_OFFSET, tags.JPEG_BYTES)]
    if directory.read_one(tags.COMPRESSION) in _JPEG:
        found += [(tags.STRIP_OFFSETS, tags.STRIP_BYTES), (tags.TILE_OFFSETS, tags.TILE_BYTES)]
    spans = []
    for offsets, lengths in found:
        starts, sizes = directory.read(offsets), directory.read(lengths)
        # Of several strips or tiles each is a JPEG of a part; CR2 stores the sensor's data as one strip.
        if len(starts) == len(sizes) == 1:
            spans.append((starts[0], starts[0] + sizes[0]))
    return spans
