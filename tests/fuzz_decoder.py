"""Fuzzes the image decoder with corrupt files: `python -m tests.fuzz_decoder FIRST LAST FOLDER`.

File number n is the same every time. The process ends with a traceback on an error outside `shared.errors`,
or on a file that takes over 10 s; else it prints the number of decoded files and its peak memory in bytes.
"""

import faulthandler
import random
import resource
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from shared.errors import BgremoveError
from tests import corpus, icc, raw_images
from tests.corpus import pictures
from tests.photos import encoded
from worker.imaging.decode import configure, decode

MAX_PIXELS = 10_000_000
HANG_S = 10
PNG_SIGNATURE_BYTES = 8
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Damage = Callable[[bytearray, random.Random], None]


def seeds() -> list[bytes]:
    """Return small intact files of every format and decoder code path."""
    return list(_seeds())


def _seeds() -> Iterator[bytes]:
    small = pictures.picture().resize((24, 32))
    veiled = pictures.veiled().resize((24, 32))
    exif = pictures.oriented(6)
    for kind in corpus.TURNED_FORMATS:
        yield encoded(small, kind, exif=exif, icc_profile=corpus.P3)
    for kind in ("PNG", "WEBP", "AVIF", "HEIF", "TIFF"):
        yield encoded(veiled, kind)
    for kind in ("PNG", "TIFF", "BMP", "GIF"):
        yield encoded(small.quantize(16), kind)
        yield encoded(small.convert("1"), kind)
    for kind in ("WEBP", "AVIF", "GIF", "TIFF"):
        yield encoded(small, kind, save_all=True, append_images=[small.rotate(180)])
    for kind in ("JPEG", "TIFF"):
        yield encoded(small.convert("CMYK"), kind, icc_profile=icc.cmyk_profile())
        yield encoded(small.convert("L"), kind, icc_profile=icc.grey_profile(1.8))
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        yield encoded(small, "TIFF", compression=compression)
    yield encoded(small, "JPEG", progressive=True)
    yield encoded(small, "WEBP", lossless=True)
    deep = np.asarray(small).astype(np.uint16) * 257
    yield raw_images.png(deep, raw_images.PNG_RGB, 16, b"\0\1" * 3)
    yield raw_images.png(deep[..., 0], raw_images.PNG_GREY, 16, b"\0\1")
    yield raw_images.tiff(deep, raw_images.TIFF_RGB, big_endian=True)
    yield raw_images.tiff(deep[..., 0] // np.uint16(16), raw_images.TIFF_BLACK_IS_ZERO, bits=12)


def damaged(whole: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return the file with one to four kinds of damage; a PNG's checksums are corrected in two of three."""
    content = bytearray(whole)
    kinds: list[Damage] = [_flip, _flip, _number, _number, _number, _truncate, _repeat, _drop]
    for _ in range(rng.randint(1, 4)):
        rng.choice(kinds)(content, rng)
    if rng.random() < 0.05:
        content += other[rng.randrange(len(other)) :]
    return _with_correct_checksums(bytes(content)) if rng.random() < 0.67 else bytes(content)


def _random_offset(content: bytearray, rng: random.Random) -> int:
    """Return an offset, half of the time in the first 256 bytes, where the headers are."""
    return rng.randrange(min(len(content), 256) if rng.random() < 0.5 else len(content))


def _flip(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        content[_random_offset(content, rng)] ^= 1 << rng.randrange(8)


def _number(content: bytearray, rng: random.Random) -> None:
    """Overwrite an integer with an extreme or random value, as in lengths, counts, sizes and offsets."""
    order, form = rng.choice("<>"), rng.choice("BHI")
    limit = 1 << (8 * struct.calcsize(form))
    value = rng.choice(EXTREMES) if rng.random() < 0.5 else rng.randrange(limit)
    at = _random_offset(content, rng)
    content[at : at + struct.calcsize(form)] = struct.pack(order + form, value % limit)


def _truncate(content: bytearray, rng: random.Random) -> None:
    del content[max(16, rng.randrange(len(content))) :]


def _repeat(content: bytearray, rng: random.Random) -> None:
    start = _random_offset(content, rng)
    piece = content[start : start + rng.randint(1, 512)]
    content[start:start] = piece * rng.choice((1, 1, 1, 50))


def _drop(content: bytearray, rng: random.Random) -> None:
    start = _random_offset(content, rng)
    if len(content) > 32:
        del content[start : start + rng.randint(1, 16)]


def _with_correct_checksums(content: bytes) -> bytes:
    """Correct the checksum of each chunk of a PNG, so that decoders read its contents."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    out, at = bytearray(content), PNG_SIGNATURE_BYTES
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def main(first: int, last: int, folder: Path) -> None:
    """Decode the corrupt files from `first` to `last`, exclusive."""
    configure()
    intact, path, read = seeds(), folder / "photo", 0
    for number in range(first, last):
        rng = random.Random(number)
        path.write_bytes(damaged(intact[number % len(intact)], rng.choice(intact), rng))
        (folder / "number").write_text(str(number))
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            model_input = decode(path, MAX_PIXELS).to_model_input()
            model_input.resize(model_input.size, Image.Resampling.NEAREST)
            read += 1
        except BgremoveError:
            continue
        finally:
            faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(f"{read} {peak_bytes()}\n")


def peak_bytes() -> int:
    """Return this process's peak resident memory."""
    if sys.platform == "linux":  # where ru_maxrss starts with the parent's peak
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
