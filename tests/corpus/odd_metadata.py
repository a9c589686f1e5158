"""Corpus cases whose metadata are damaged, too long or in conflict, and whose pixels are complete.

Browsers and ImageMagick show all of them.
"""

import struct
import zlib
from collections.abc import Iterator

from tests import icc
from tests.corpus.pictures import ORIENTATION, Case, cat, in_palette, picture, rgb_of, shown
from tests.photos import encoded
from tests.raw_images import chunk

_AFTER_HEADER = 33  # the PNG signature and IHDR
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def wrong_checksum(whole: bytes) -> bytes:
    """Return a PNG chunk with another checksum."""
    return whole[:-1] + bytes([whole[-1] ^ 1])


def with_chunk(content: bytes, inserted: bytes) -> bytes:
    """Return a PNG with a chunk after its header."""
    return content[:_AFTER_HEADER] + inserted + content[_AFTER_HEADER:]


def with_segment(content: bytes, marker: int, data: bytes) -> bytes:
    """Return a JPEG with a segment at its start."""
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data + content[2:]


def odd_png() -> Iterator[Case]:
    """Yield the PNG cases."""
    pixels = {"wrong checksum": wrong_checksum(chunk(b"tEXt", b"Title\0x"))}
    physical, profile = (
        chunk(b"pHYs", struct.pack(">IIB", 9999, 9999, 1)),
        b"p\0\0" + zlib.compress(icc.rgb_profile(icc.DISPLAY_P3)),
    )
    pixels |= {"pHYs with a wrong checksum": wrong_checksum(physical)}
    pixels |= {"iCCP with a wrong checksum": wrong_checksum(chunk(b"iCCP", profile))}
    pixels |= {"a text of 2 MB": chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(2 << 20)))}
    pixels |= {
        f"empty {name.decode()}": chunk(name, b"") for name in (b"sRGB", b"gAMA", b"cHRM", b"tRNS", b"iCCP")
    }
    pixels |= {
        f"{name.decode()} of 2 bytes": chunk(name, b"\0\1") for name in (b"gAMA", b"cHRM", b"pHYs", b"tRNS")
    }
    for name, inserted in pixels.items():
        yield Case(name, with_chunk(encoded(cat(), "PNG"), inserted), rgb_of(cat()))
    palette = encoded(in_palette(), "PNG")
    at = palette.index(b"IDAT") - 4
    longer = palette[:at] + chunk(b"tRNS", bytes(256)) + palette[at:]
    yield Case("P, tRNS longer than the palette", longer, rgb_of(in_palette()))
    large = bytes([*icc.rgb_profile(icc.DISPLAY_P3)]) + bytes(2 << 20)
    large = struct.pack(">I", len(large)) + large[4:]
    yield Case("a profile of 2 MB", encoded(cat(), "PNG", icc_profile=large), rgb_of(cat()), profile=large)
    yield Case("without IEND", encoded(cat(), "PNG")[:-12], rgb_of(cat()))


def odd_jpeg() -> Iterator[Case]:
    """Yield the JPEG cases."""
    content = encoded(cat(), "JPEG", quality=100, subsampling=0)
    plain = content[:2] + content[4 + int.from_bytes(content[4:6]) :]  # without the JFIF segment
    odd = {"short JFIF": with_segment(plain, 0xE0, b"JFIF\0\1")}
    odd |= {"empty JFIF": with_segment(plain, 0xE0, b"JFIF")}
    odd |= {"short Adobe": with_segment(content, 0xEE, b"Adobe\0")}
    odd |= {"short profile": with_segment(content, 0xE2, b"ICC_PROFILE\0")}
    odd |= {"short EXIF": with_segment(content, 0xE1, b"Exif\0\0")}
    odd |= {
        "an orientation in XMP alone": with_segment(content, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    }
    odd |= {"without its end marker": content[:-2], "with half an end marker": content[:-1]}
    for name, changed in odd.items():
        yield Case(name, changed, shown(cat(), content))
    progressive = encoded(picture(), "JPEG", progressive=True)
    yield Case("progressive, without its end marker", progressive[:-2], shown(picture(), progressive))
    wrong = with_segment(
        encoded(cat(), "JPEG", quality=100, subsampling=0, dpi=(200, 200)), 0xE1, wrong_types()
    )
    yield Case("EXIF tags of wrong types", wrong, shown(cat(), content), dpi=200)


def wrong_types(orientation: int = 1) -> bytes:
    """Return EXIF data whose Make is a number, and whose XResolution and DateTime are not theirs."""
    tags = [
        (0x010F, 3, 1, 1),
        (ORIENTATION, 3, 1, orientation),
        (0x011A, 2, 1, 0),
        (0x0132, 4, 1, 0x04030201),
    ]
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4)
