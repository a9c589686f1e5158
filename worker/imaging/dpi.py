"""The resolution that a photo is meant to be shown at, across and down as it is stored.

Sources: JFIF 1.02 (units); EXIF 2.32, 4.6.5 (XResolution, YResolution, ResolutionUnit).
"""

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

MIN_DPI, MAX_DPI = 2, 65_535  # Pillow says 1 where a TIFF says nothing; a JPEG has 16 bits for it
_JFIF_UNITS = (1, 2)
_INCH_IN_EXIF_UNITS = {2: 1.0, 3: 2.54}

Dpi = tuple[float, float]


def of_header(image: ImageFile) -> Dpi | None:
    """Return what an opened file's format tells. Of a JPEG without a density, Pillow says 72 by itself."""
    invented = image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in _JFIF_UNITS
    return None if invented else _plausible(image.info.get("dpi"))


def of_exif(exif: Image.Exif) -> Dpi | None:
    """Return what EXIF data tell. Raises whatever nonsense in them makes Python raise."""
    inch = _INCH_IN_EXIF_UNITS.get(exif.get(ExifTags.Base.ResolutionUnit, 2))
    across, down = exif.get(ExifTags.Base.XResolution), exif.get(ExifTags.Base.YResolution)
    return _plausible((across * inch, down * inch)) if inch and across and down else None


def _plausible(dpi: Dpi | None) -> Dpi | None:
    """Return the resolution if it is one; files also claim 0, or nonsense."""
    if not dpi or not all(MIN_DPI <= float(value) <= MAX_DPI for value in dpi):
        return None
    return float(dpi[0]), float(dpi[1])
