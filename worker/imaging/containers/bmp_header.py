"""Bounds the data of a BMP: run-length codes that draw nothing take Pillow a microsecond each.

Source: Microsoft, Bitmap Storage: BITMAPFILEHEADER, BITMAPINFOHEADER, BITMAPCOREHEADER.
"""

import struct
from mmap import mmap

from worker.imaging.containers.contents import Contents

_CORE_HEADER_BYTES = 12
_MAX_BYTES_PER_PIXEL = 4
_ROW_END_BYTES = 16  # padding, or the code of a row's end


def read_bmp(content: mmap) -> Contents:
    """Return the file, cut behind the most bytes that pixels of its size can take."""
    try:
        data_start, header_bytes = struct.unpack_from("<I", content, 10)[0], content[14]
        form = "<HH" if header_bytes == _CORE_HEADER_BYTES else "<ii"
        width, height = struct.unpack_from(form, content, 18)
    except (struct.error, IndexError):
        return Contents([(0, len(content))])
    most = data_start + (abs(width) * _MAX_BYTES_PER_PIXEL + _ROW_END_BYTES) * (abs(height) + 1)
    return Contents([(0, min(len(content), most))])
