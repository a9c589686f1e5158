"""Image formats: those that the service accepts, detected by magic bytes, and those that it writes."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """One format: Pillow's name for it, its media type, and the signature (magic bytes) of its files."""

    name: str
    media_type: str
    signature: re.Pattern[bytes]


# AVIF and HEIC are both HEIF files (ISO/IEC 23008-12). Their first box, ftyp, has the major brand, a version
# and the compatible brands, four bytes each. mif1 and msf1 mean any HEIF file: the compatible brands decide.
ACCEPTED = (
    ImageFormat("PNG", "image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ImageFormat("JPEG", "image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ImageFormat("WEBP", "image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ImageFormat(
        "AVIF",
        "image/avif",
        re.compile(rb".{4}ftyp(?:avi[fs]|m[is]f1.{4}(?:[a-z0-9A-Z]{4})*?avi[fs])", re.DOTALL),
    ),
    ImageFormat("HEIF", "image/heif", re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cxms]|m[is]f1)", re.DOTALL)),
    ImageFormat("GIF", "image/gif", re.compile(rb"GIF8[79]a")),
    ImageFormat("TIFF", "image/tiff", re.compile(rb"II[\x2a\x2b]\x00|MM\x00[\x2a\x2b]")),
    ImageFormat("BMP", "image/bmp", re.compile(rb"BM")),
)
SIGNATURE_BYTES = 64

# By result format: the file name extension, and the media type.
EXTENSIONS = {"png": "png", "webp": "webp", "jpeg": "jpg", "zip": "zip"}
MEDIA_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg", "zip": "application/zip"}


def detect_format(head: bytes) -> ImageFormat | None:
    """Detect a file's format by `head`, its first SIGNATURE_BYTES; None if it is not accepted."""
    return next((known for known in ACCEPTED if known.signature.match(head)), None)


def result_name(stem: str, content: str, file_format: str) -> str:
    """Return a result's file name: the image's without extension, the kind of result, the new extension."""
    return f"{stem}-{content}.{EXTENSIONS[file_format]}"
