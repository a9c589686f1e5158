"""Limits the number of scans in a progressive JPEG, each of which decodes all pixels (decompression bomb).

Source: ITU-T T.81, annex B: the markers and their segments.
"""

import re
from typing import BinaryIO

from shared.errors import DamagedImage

# Encoders write about ten. Hundreds fit into a small file, and each takes 0.2 s to decode at 100 megapixels.
MAX_SCANS = 100
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# Markers of segments with a length: neither stuffing bytes within a scan, nor TEM, RST, SOI and fill bytes.
_SEGMENT = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def check_scans(file: BinaryIO) -> None:
    """Raise DamagedImage for a JPEG that would take minutes to decode."""
    file.seek(0)
    content = file.read()
    # The count of the marker's bytes is a quick bound; it includes an appended video's and the metadata's.
    if content.count(_START_OF_SCAN) > MAX_SCANS and _count_scans(content) > MAX_SCANS:
        raise DamagedImage(f"The JPEG has more scans than any encoder writes ({MAX_SCANS}).")


def _count_scans(content: bytes) -> int:
    """Return the number of scans of the first image in a JPEG file."""
    scans = position = 0
    while (marker := _SEGMENT.search(content, position)) and marker[0] != _END_OF_IMAGE:
        scans += marker[0] == _START_OF_SCAN
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])
    return scans
