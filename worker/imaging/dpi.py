"""Reads the display resolution (DPI) from file headers and EXIF, across and down as the image is stored.

Sources: JFIF 1.02 (units); EXIF 2.32, 4.6.5 (XResolution, YResolution, ResolutionUnit).
"""

import struct

from PIL import ExifTags, Image

MIN_DPI, MAX_DPI = 2, 65_535  # Pillow gives 1 for a TIFF without a resolution; a JPEG stores 16 bits
_JFIF_UNITS = (1, 2)
_EXIF_UNITS_PER_INCH: dict[float, float] = {2: 1.0, 3: 2.54}

Dpi = tuple[float, float]


def read_header_dpi(image: Image.Image) -> Dpi | None:
    """Return the resolution in an opened file's header. For a JPEG without one, Pillow invents 72."""
    invented = image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in _JFIF_UNITS
    return None if invented else _plausible_or_none(image.info.get("dpi"))


def read_exif_dpi(exif: Image.Exif) -> Dpi | None:
    """Return the resolution in EXIF data, whatever type its numbers have; both are one if one is missing."""
    unit = _read_number(exif, ExifTags.Base.ResolutionUnit)
    per_inch = _EXIF_UNITS_PER_INCH.get(2 if unit is None else unit)
    across, down = (_read_number(exif, tag) for tag in (ExifTags.Base.XResolution, ExifTags.Base.YResolution))
    across, down = across or down, down or across
    return _plausible_or_none((across * per_inch, down * per_inch)) if per_inch and across and down else None


def _read_number(exif: Image.Exif, tag: int) -> float | None:
    """Return a tag's first number, also from text; None if it has none."""
    try:
        value = exif[tag]
        return float(value[0] if isinstance(value, tuple) else value)
    except (LookupError, TypeError, ValueError, ArithmeticError, OSError, SyntaxError, struct.error):
        return None


def _plausible_or_none(dpi: Dpi | None) -> Dpi | None:
    """Return the resolution if it is plausible; some files hold 0 or nonsense."""
    if not dpi or not all(MIN_DPI <= float(value) <= MAX_DPI for value in dpi):
        return None
    return float(dpi[0]), float(dpi[1])
