"""AVIF files whose announced size (ispe) differs from the picture that they code."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.errors import DamagedImage
from tests.heif_files import grid
from tests.photos import encoded
from worker.imaging.containers.av1_sequence import read_coded_size
from worker.imaging.decode import decode

SIZE = (300, 200)
MAX_PIXELS = 100_000_000


def picture(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a gradient, with a gradient of alpha if the mode has one."""
    image = Image.linear_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.radial_gradient("L").resize(size))
    return image


def announce(content: bytes, size: tuple[int, int], *, only: int | None = None) -> bytes:
    """Return the file with another size in every ispe box, or in one of them."""
    parts = content.split(b"ispe")
    for number in range(1, len(parts)):
        if only in (None, number - 1):
            parts[number] = parts[number][:4] + struct.pack(">II", *size) + parts[number][12:]
    return b"ispe".join(parts)


def write(folder: Path, content: bytes) -> Path:
    """Write a file."""
    path = folder / "a.avif"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize(
    "announced",
    [
        (150, 100),
        (600, 400),
        (1200, 200),
        (300, 50),
        (300, 201),
        (200, 300),
        (32, 32),
        (9000, 9000),
        (170, 200),
    ],
)
def test_a_picture_of_another_size_than_announced_is_damaged(
    tmp_path: Path, mode: str, announced: tuple[int, int]
) -> None:
    """The decoder would scale it, and take the memory of the coded size, whatever the limit of pixels."""
    path = write(tmp_path, announce(encoded(picture(mode), "AVIF"), announced))
    text = f"announces {announced[0]} x {announced[1]} pixels for a picture of 300 x 200"
    with pytest.raises(DamagedImage, match=text):
        decode(path, MAX_PIXELS)


def test_a_small_announcement_of_a_large_picture_is_damaged(tmp_path: Path) -> None:
    """Else 40 bytes of headers would pass any limit of pixels."""
    path = write(tmp_path, announce(encoded(picture(size=(4000, 3000)), "AVIF", speed=10), (40, 30)))
    with pytest.raises(DamagedImage, match="4000 x 3000"):
        decode(path, 100_000)


def test_alpha_of_another_size_is_damaged(tmp_path: Path) -> None:
    """It is an image of its own in the file."""
    colour, alpha = picture("RGBA"), picture("RGBA", (150, 100))
    whole, small = encoded(colour, "AVIF"), encoded(alpha, "AVIF")
    assert whole.count(b"ispe") == small.count(b"ispe")
    with pytest.raises(DamagedImage):
        decode(write(tmp_path, announce(whole, (150, 100), only=0)), MAX_PIXELS)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(1, 1), (17, 300), (300, 17), (64, 64), (1025, 769)])
def test_honest_pictures_are_read(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    """Of every mode, and of odd sizes."""
    assert decode(write(tmp_path, encoded(picture(mode, size), "AVIF")), MAX_PIXELS).rgb.size == size


@pytest.mark.parametrize("announced", [(299, 200), (300, 193), (257, 193)])
def test_a_size_that_an_encoder_rounded_up_is_read(tmp_path: Path, announced: tuple[int, int]) -> None:
    """Some encoders announce the picture, and code whole blocks."""
    path = write(tmp_path, announce(encoded(picture(), "AVIF"), announced))
    assert decode(path, MAX_PIXELS).rgb.size == announced


def test_an_animation_is_read(tmp_path: Path) -> None:
    """Its sequence header has operating points, unlike a still picture's."""
    frames = [picture(), picture().rotate(90)]
    content = encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    assert decode(write(tmp_path, content), MAX_PIXELS).rgb.size == SIZE


@pytest.mark.parametrize(
    ("canvas", "rows", "columns"), [((256, 192), 3, 4), ((250, 180), 3, 4), ((64, 128), 2, 1)]
)
def test_grids_are_read_by_the_size_of_their_tiles(
    tmp_path: Path, canvas: tuple[int, int], rows: int, columns: int
) -> None:
    """A grid's own size is larger than any picture's in it; its last tiles may exceed it."""
    content = grid(picture(size=(64, 64)), rows, columns, canvas, "AVIF")
    assert decode(write(tmp_path, content), MAX_PIXELS).rgb.size == canvas


def test_a_grid_whose_tiles_are_of_another_size_is_damaged(tmp_path: Path) -> None:
    """Each of its tiles would cost what it codes."""
    content = announce(grid(picture(size=(640, 640)), 3, 4, (256, 192), "AVIF"), (64, 64), only=1)
    with pytest.raises(DamagedImage, match="64 x 64 pixels for a picture of 640 x 640"):
        decode(write(tmp_path, content), MAX_PIXELS)


def test_cuts_and_noise_are_left_to_the_decoder(tmp_path: Path) -> None:
    """The walk itself fails on nothing."""
    whole = encoded(picture("RGBA"), "AVIF")
    rng = np.random.default_rng(7)
    for _ in range(60):
        noisy = bytearray(whole[: rng.integers(16, len(whole))])
        noisy[rng.integers(12, len(noisy))] = rng.integers(256)
        with suppress(DamagedImage):
            decode(write(tmp_path, bytes(noisy)), MAX_PIXELS)


def bits(text: str) -> bytes:
    """Return bits as bytes, padded with zeros."""
    text = text.replace(" ", "")
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


SIZE_BITS = "1000 0111 100101011 11000111"  # 9 and 8 bits: 300 x 200
HEADERS = {
    "reduced": "000 1 1 00000",
    "one operating point": "000 1 0 0 0 00000 000000000000 00101",
    "tier and display delay": "000 0 0 0 1 00001 000000000000 01000 1 1 0101 000000000001 00111 0",
    "timing": f"000 0 0 1 {1:032b} {25:032b} 1 00101 0 0 00000 000000000000 00000",
    "decoder model": f"000 0 0 1 {1:064b} 0 1 00011 {9:032b} 01111 01111 0 00000 {0:012b} 00000 1 {5:09b}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
@pytest.mark.parametrize(
    "start",
    [b"\x0a\x40", b"\x12\x00\x0a\x40", b"\x0e\x08\x40", b"\x12\x00\x0a\xc0\x00", b"\x08"],
    ids=["first", "after a delimiter", "with an extension", "long length", "no length"],
)
def test_the_size_is_read_from_every_kind_of_sequence_header(header: str, start: bytes) -> None:
    """What stands before the size depends on flags (AV1 specification, 5.5)."""
    assert read_coded_size(start + bits(header + SIZE_BITS).ljust(64, b"\0")) == SIZE


@pytest.mark.parametrize("content", [b"", b"\x0a", b"\x0a\x01\x18", b"\x12\x00" * 20, b"\x0a" + b"\xff" * 9])
def test_no_size_is_read_from_what_is_no_sequence_header(content: bytes) -> None:
    """Nor from one that is cut short."""
    assert read_coded_size(content) is None
