"""Detection of image formats by magic bytes."""

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from shared.formats import ACCEPTED, SIGNATURE_BYTES, ImageFormat, detect_format
from tests.photos import encoded

register_heif_opener()


@pytest.mark.parametrize("known", ACCEPTED, ids=lambda known: known.name)
def test_every_accepted_format_is_detected(known: ImageFormat) -> None:
    """An image that the worker can decode must not be refused by the supervisor."""
    photo = encoded(Image.new("RGB", (3, 2), "red"), known.name)
    found = detect_format(photo[:SIGNATURE_BYTES])
    assert found is not None
    assert (found.name, Image.MIME[found.name]) == (known.name, found.media_type)


@pytest.mark.parametrize("head", [b"", b"RIFF\0\0\0\0WAVE", b"<svg", b"PK\x03\x04", b"\x89PNG\n", b"II*"])
def test_other_files_are_not_detected(head: bytes) -> None:
    """The client gets status 415, not a decoder's error."""
    assert detect_format(head) is None


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        (b"avifmif1miaf", "AVIF"),
        (b"avismsf1", "AVIF"),
        (b"mif1miafavif", "AVIF"),
        (b"heicmif1", "HEIF"),
        (b"mif1heicmiaf", "HEIF"),
        (b"msf1hevc", "HEIF"),
        (b"mp42isom", None),
    ],
)
def test_avif_and_heic_are_distinguished_by_their_brands(brands: bytes, name: str | None) -> None:
    """Both, and MP4 videos, begin with an ftyp box."""
    head = b"\0\0\0\x20ftyp" + brands[:4] + bytes(4) + brands[4:]
    assert getattr(detect_format(head), "name", None) == name
