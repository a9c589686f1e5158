"""Which files are taken for images."""

import pytest
from PIL import Image

from shared.formats import ACCEPTED, ImageFormat, sniff
from tests.photos import encoded


@pytest.mark.parametrize("known", ACCEPTED, ids=lambda known: known.name)
def test_every_accepted_format_is_recognised(known: ImageFormat) -> None:
    """A photo that the worker can read must not be refused at the door."""
    photo = encoded(Image.new("RGB", (3, 2), "red"), known.name)
    found = sniff(photo[:16])
    assert found is not None
    assert (found.name, Image.MIME[found.name]) == (known.name, found.media_type)


@pytest.mark.parametrize("head", [b"", b"RIFF\0\0\0\0WAVE", b"<svg", b"PK\x03\x04", b"\x89PNG\n", b"II*"])
def test_other_files_are_not(head: bytes) -> None:
    """A clear 415 beats a decoder's guess."""
    assert sniff(head) is None
