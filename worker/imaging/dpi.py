"""Reads the display resolution (DPI) from file headers and EXIF, across and down as the image is stored.

Sources: JFIF 1.02 (units); EXIF 2.32, 4.6.5 (XResolution, YResolution, ResolutionUnit).
"""

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

MIN_DPI, MAX_DPI = 2, 65_535  # Pillow gives 1 for a TIFF without a resolution; a JPEG stores 16 bits
_JFIF_UNITS = (1, 2)
_EXIF_UNITS_PER_INCH = {2: 1.0, 3: 2.54}

Dpi = tuple[float, float]


def read_header_dpi(image: ImageFile) -> Dpi | None:
    """Return the resolution in an opened file's header. For a JPEG without one, Pillow invents 72."""
    invented = image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in _JFIF_UNITS
    return None if invented else _plausible_or_none(image.info.get("dpi"))


def read_exif_dpi(exif: Image.Exif) -> Dpi | None:
    """Return the resolution in EXIF data. Raises whatever malformed values make Python raise."""
    per_inch = _EXIF_UNITS_PER_INCH.get(exif.get(ExifTags.Base.ResolutionUnit, 2))
    across, down = exif.get(ExifTags.Base.XResolution), exif.get(ExifTags.Base.YResolution)
    return _plausible_or_none((across * per_inch, down * per_inch)) if per_inch and across and down else None


def _plausible_or_none(dpi: Dpi | None) -> Dpi | None:
    """Return the resolution if it is plausible; some files hold 0 or nonsense."""
    if not dpi or not all(MIN_DPI <= float(value) <= MAX_DPI for value in dpi):
        return None
    return float(dpi[0]), float(dpi[1])
