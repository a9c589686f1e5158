"""How often a JPEG goes over its pixels: each scan of a progressive one refines the whole picture.

Source: ITU-T T.81, annex B: the markers and their segments.
"""

import re
from typing import BinaryIO

from shared.errors import DamagedImage

# Encoders write about ten. Hundreds fit in a small file, and a fifth of a second goes by for each at 100 MP.
MAX_SCANS = 100
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# Not what stands within a scan, nor what has no length: stuffing, TEM, RST, SOI and fill bytes.
_SEGMENT = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def check_scans(file: BinaryIO) -> None:
    """Raise DamagedImage for a JPEG that would take minutes to decode."""
    file.seek(0)
    content = file.read()
    # Few photos have even that many, and then in the video behind them or in their notes.
    if content.count(_START_OF_SCAN) > MAX_SCANS and _scans(content) > MAX_SCANS:
        raise DamagedImage(f"The JPEG goes over its pixels more often than any encoder writes ({MAX_SCANS}).")


def _scans(content: bytes) -> int:
    """Return how many scans the first picture in a JPEG's bytes has."""
    scans = place = 0
    while (found := _SEGMENT.search(content, place)) and found[0] != _END_OF_IMAGE:
        scans += found[0] == _START_OF_SCAN
        place = found.end() + int.from_bytes(content[found.end() : found.end() + 2])
    return scans
