"""Small files that would take a decoder minutes or gigabytes: bounded before decoding, or by time."""

import io
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from mmap import mmap
from pathlib import Path

import pytest
from PIL import Image

from shared.errors import DamagedImage
from tests.heif_files import grid
from tests.photos import encoded
from tests.raw_images import chunk
from worker.imaging.containers import file_view
from worker.imaging.containers.file_view import FileView
from worker.imaging.containers.png_chunks import MAX_PROFILE_BYTES
from worker.imaging.decode import DecodedImage, decode
from worker.imaging.memory_estimate import read_header

LIMIT = 10_000_000
HARMLESS_S = 2  # on a busy machine; the unbounded files took 10 s and more
IMAGE = Image.new("RGB", (64, 48), (200, 30, 40))


def decode_quickly(content: bytes, folder: Path) -> DecodedImage:
    """Decode a file within HARMLESS_S of CPU time."""
    (folder / "image").write_bytes(content)
    start = time.thread_time()
    try:
        return decode(folder / "image", LIMIT)
    finally:
        assert time.thread_time() - start < HARMLESS_S


def tiff_entries(*entries: tuple[int, int, int, int]) -> bytes:
    """Return a directory of tags: (tag, type, count, value or offset)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + packed + bytes(4)


def tiff_of_strips(count: int) -> bytes:
    """Return a TIFF 8 pixels wide with a strip per row, all of the same bytes."""
    directory = tiff_entries(
        *[(256, 4, 1, 8), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)],
        *[(273, 4, count, 200), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, count, 200)],
    )
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + b"\x08\0\0\0" * count


def overlapping_tags() -> bytes:
    """Return the tags of TIFF or EXIF data, thousands of which refer to the same 60 kB."""
    directory = tiff_entries(*[(40_000 + tag, 7, 60_000, 8) for tag in range(5000)])
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(65_000, b"\0")


def before_frame(inserted: bytes) -> bytes:
    """Return a GIF with bytes before its frame."""
    content = encoded(IMAGE, "GIF")
    at = content.index(b"," + bytes(4))
    return content[:at] + inserted + content[at:]


REFUSED: dict[str, Callable[[], bytes]] = {
    "a TIFF of a million strips": lambda: tiff_of_strips(1_000_000),
    "a TIFF whose tags overlap": overlapping_tags,
    "a GIF of a million comments": lambda: before_frame(b"\x21\xfe\0" * 1_000_000),
    "a GIF of a million parts of a comment": lambda: before_frame(b"\x21\xfe" + b"\1a" * 1_000_000 + b"\0"),
    "a GIF with a megabyte between its blocks": lambda: before_frame(bytes(1_000_000)),
    "a JPEG of a million comments": lambda: after_start(b"\xff\xfe\0\2" * 1_000_000),
    "a PNG of a million texts": lambda: after_header(chunk(b"tEXt", b"") * 1_000_000),
    "a BMP of codes that draw nothing": lambda: bmp(b"\0\2\0\0" * 5_000_000),
}


def after_start(inserted: bytes) -> bytes:
    """Return a JPEG with bytes after its start marker."""
    content = encoded(IMAGE, "JPEG")
    return content[:2] + inserted + content[2:]


def after_header(inserted: bytes) -> bytes:
    """Return a PNG with chunks after its header."""
    content = encoded(IMAGE)
    return content[:33] + inserted + content[33:]


def bmp(codes: bytes) -> bytes:
    """Return a run-length coded BMP of 8 x 8."""
    head = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 0, 0, 0, 1078, 40, 8, 8, 1, 8, 1, 0, 0, 0, 256, 0)
    return head + bytes(1024) + codes


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_file_of_needless_parts_is_refused_before_decoding(
    tmp_path: Path, make: Callable[[], bytes]
) -> None:
    """A picture of that size needs a few hundred."""
    with pytest.raises(DamagedImage):
        decode_quickly(make(), tmp_path)


def exif_segment() -> bytes:
    exif = b"Exif\0\0" + overlapping_tags()
    return b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif


HARMLESS: dict[str, Callable[[], bytes]] = {
    "a JPEG of 900 EXIF segments": lambda: after_start(exif_segment() * 900),
    "a JPEG of 900 profile segments": lambda: after_start(
        (b"\xff\xe2\xff\0ICC_PROFILE\0\1\xff" + bytes(65_264)) * 900
    ),
    "a PNG whose EXIF tags overlap": lambda: after_header(chunk(b"eXIf", overlapping_tags())),
    "a WebP whose EXIF tags overlap": lambda: encoded(IMAGE, "WEBP", exif=b"Exif\0\0" + overlapping_tags()),
    "a PNG of texts that inflate": lambda: after_header(
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) * 10_000
    ),
    "a PNG of profiles that inflate": lambda: after_header(
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(15_000_000))) * 100
    ),
    "a TIFF of a million pages": lambda: tiff_of_pages(1_000_000),
}


def tiff_of_pages(count: int) -> bytes:
    """Return a TIFF with a chain of empty directories behind its first."""
    content = encoded(IMAGE, "TIFF")
    content += bytes(len(content) % 2)
    at = struct.unpack_from("<I", content, 4)[0]
    link = at + 2 + 12 * struct.unpack_from("<H", content, at)[0]
    pages = b"".join(
        struct.pack("<HHHIII", 1, 254, 4, 1, 1, len(content) + 18 * (page + 1)) for page in range(count)
    )
    return content[:link] + struct.pack("<I", len(content)) + content[link + 4 :] + pages


@pytest.mark.parametrize("make", HARMLESS.values(), ids=HARMLESS)
def test_needless_metadata_cost_no_time(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """They hold no pixels, so the image is read without them."""
    assert decode_quickly(make(), tmp_path).rgb.size == IMAGE.size


@pytest.mark.parametrize(("rows", "columns"), [(4, 8), (200, 200)])
def test_a_grid_that_refers_to_its_tile_too_often_is_refused(tmp_path: Path, rows: int, columns: int) -> None:
    """A HEIC of 16 kB, with 256 references to a tile of 67 megapixels, took two minutes."""
    tile = Image.new("RGB", (1024, 1024) if rows < 9 else (8, 8), (200, 30, 40))
    with pytest.raises(DamagedImage, match="tiles than an image of its size needs"):
        decode_quickly(grid(tile, rows, columns, (512, 512)), tmp_path)


def test_an_alpha_channel_that_refers_to_its_tile_too_often_is_refused(tmp_path: Path) -> None:
    """It is decoded with the image."""
    tile = Image.new("RGB", (512, 512), (200, 30, 40))
    with pytest.raises(DamagedImage, match="tiles than an image of its size needs"):
        decode_quickly(grid(tile, 8, 8, (512, 512), as_alpha=True), tmp_path)


def test_a_profile_is_inflated_up_to_its_limit(tmp_path: Path) -> None:
    """Zeros of a gigabyte take a megabyte in a file."""
    profile = b"bomb\0\0" + zlib.compress(bytes(200_000_000), 1)
    tracemalloc.start()
    try:
        assert decode_quickly(after_header(chunk(b"iCCP", profile)), tmp_path).icc_profile is None
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_PROFILE_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("side", "rows", "columns", "size"),
    [(256, 2, 3, (700, 500)), (512, 1, 1, (20, 30)), (1024, 2, 2, (1030, 1030)), (64, 20, 20, (1280, 1280))],
)
def test_a_grid_whose_tiles_exceed_its_canvas_is_read(
    tmp_path: Path, side: int, rows: int, columns: int, size: tuple[int, int]
) -> None:
    """Phones store photos in tiles, the last of which are cut off."""
    image = decode_quickly(grid(Image.new("RGB", (side, side), "red"), rows, columns, size), tmp_path)
    assert image.rgb.size == size


def test_a_decoder_that_reads_for_too_long_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the decoding thread's own time: others may keep the machine busy."""
    monkeypatch.setattr(file_view, "BASE_BUDGET_S", 0.05)
    (tmp_path / "image").write_bytes(bytes(range(256)))
    with (tmp_path / "image").open("r+b") as file, mmap(file.fileno(), 0) as content:
        view = FileView(content, [(0, 10), b"new", (10, 256)])
        reader = io.BufferedReader(view, 16)
        assert reader.read(15) == bytes(range(10)) + b"new" + bytes((10, 11))
        reader.seek(-1, io.SEEK_END)
        assert reader.read() == b"\xff"
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass
        reader.seek(0)
        with pytest.raises(DamagedImage, match="longer to decode"):
            reader.read(200)


@pytest.mark.parametrize("make", (REFUSED | HARMLESS).values(), ids=REFUSED | HARMLESS)
def test_the_header_is_read_within_the_same_bounds(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """The memory estimate comes before decoding."""
    (tmp_path / "image").write_bytes(make())
    start = time.thread_time()
    header = read_header(tmp_path / "image")
    assert time.thread_time() - start < HARMLESS_S
    assert header is None or header.size in (IMAGE.size, (8, 8))
