"""The PNG writer: losslessness, validity, metadata and errors, for images of any shape."""

import io
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageCms

from worker.imaging import png_writer

Pixels = npt.NDArray[np.uint8]

KINDS = pytest.mark.parametrize("channels", [(), (3,), (4,)], ids=["grey", "rgb", "rgba"])


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: Pixels, **options: Any) -> bytes:
    stream = io.BytesIO()
    encode(pixels, stream, **options)
    return stream.getvalue()


def encode(pixels: npt.NDArray[Any], stream: Any, **options: Any) -> None:
    png_writer.encode(pixels.shape, lambda top, bottom: pixels[top:bottom], stream, **options)


def decoded(file: bytes) -> Pixels:
    with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
        return np.asarray(image)


def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """Return every chunk's name and contents; fails on a wrong CRC, or on bytes outside the chunks."""
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = [], 8
    while at < len(file):
        length, name = struct.unpack_from(">I4s", file, at)
        contents = file[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", file, at + 8 + length) == (zlib.crc32(name + contents),)
        found.append((name, contents))
        at += 12 + length
    return found


def inflated(file: bytes) -> bytes:
    """Return the filtered image; fails unless the zlib stream is complete and its Adler-32 right."""
    inflater = zlib.decompressobj()
    filtered = inflater.decompress(b"".join(contents for name, contents in chunks(file) if name == b"IDAT"))
    assert inflater.eof
    assert inflater.unused_data == b""
    return filtered


@KINDS
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 301), (301, 1), (2, 2), (37, 53)])
def test_round_trip_at_any_size(size: tuple[int, int], channels: tuple[int, ...]) -> None:
    """Thin and tiny images have edge cases in the filter."""
    pixels = noise(*size, *channels)
    np.testing.assert_array_equal(decoded(encoded(pixels)), pixels)


@KINDS
@pytest.mark.parametrize("beyond", [-1, 0, 1])
@pytest.mark.parametrize("strips", [1, 3])
def test_round_trip_around_strip_boundaries(strips: int, beyond: int, channels: tuple[int, ...]) -> None:
    """An error there is a line across the image."""
    width = 1000
    rows = png_writer._STRIP_BYTES // noise(width, *channels).size
    pixels = noise(strips * rows + beyond, width, *channels)
    file = encoded(pixels)
    np.testing.assert_array_equal(decoded(file), pixels)
    assert len(inflated(file)) == pixels.size + len(pixels)


@given(data=st.data(), strip_bytes=st.integers(1, 300), threads=st.integers(1, 4), graphics=st.booleans())
def test_round_trip_of_random_images(
    data: st.DataObject, strip_bytes: int, threads: int, *, graphics: bool
) -> None:
    """Random values, shapes, strip sizes and thread counts."""
    sides = st.integers(1, 24)
    shapes = st.one_of(st.tuples(sides, sides), st.tuples(sides, sides, st.sampled_from([3, 4])))
    pixels = data.draw(arrays(np.uint8, shapes))
    with (
        mock.patch.object(png_writer, "_STRIP_BYTES", strip_bytes),
        mock.patch.object(png_writer, "is_graphics", return_value=graphics),
    ):
        file = encoded(pixels, threads=threads)
    np.testing.assert_array_equal(decoded(file), pixels)
    assert len(inflated(file)) == pixels.size + len(pixels)


@KINDS
def test_round_trip_and_compression_of_a_large_image(channels: tuple[int, ...]) -> None:
    """In many strips."""
    smooth = np.add.outer(np.arange(2000) // 9, np.arange(3000) // 13).astype(np.uint8)
    pixels = np.array(
        np.broadcast_to(smooth.reshape(2000, 3000, *(1 for _ in channels)), (2000, 3000, *channels))
    )
    pixels[500:900, 1000:2500] = noise(400, 1500, *channels)
    file = encoded(pixels)
    np.testing.assert_array_equal(decoded(file), pixels)
    assert len(inflated(file)) == pixels.size + len(pixels)
    assert len(file) < pixels.size / 4


def test_incompressible_noise_hardly_grows() -> None:
    """Deflate stores it uncompressed."""
    pixels = noise(700, 900, 4)
    assert len(encoded(pixels)) < 1.01 * pixels.size


def test_colours_under_transparent_pixels_are_kept() -> None:
    """The writer is lossless; what to clear is the compositing's decision."""
    pixels = noise(20, 30, 4)
    pixels[..., 3] = 0
    np.testing.assert_array_equal(decoded(encoded(pixels)), pixels)


@pytest.mark.parametrize(
    "view",
    [
        noise(60, 40, 4)[..., :3],
        noise(60, 40, 3)[..., ::-1],
        noise(60, 40, 4)[::-1, ::-2],
        noise(60, 40, 3)[7:31, 5:22],
        noise(60, 40, 4)[..., 3],
        noise(4, 60, 40).transpose(1, 2, 0),
        np.broadcast_to(noise(40, 3), (60, 40, 3)),
    ],
    ids=["alpha left out", "bgr", "turned", "cropped", "alpha alone", "planes", "one row repeated"],
)
def test_round_trip_of_non_contiguous_views(view: Pixels) -> None:
    """Strides must be respected."""
    with mock.patch.object(png_writer, "_STRIP_BYTES", 1000):
        np.testing.assert_array_equal(decoded(encoded(view)), view)


def test_the_pixels_are_not_modified() -> None:
    """Several outputs may share them."""
    pixels = noise(50, 40, 4)
    before = pixels.copy()
    pixels.flags.writeable = False
    encoded(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_the_file_is_independent_of_the_thread_count() -> None:
    """Strips that finish out of order are written in order."""
    pixels = noise(900, 1500, 4)
    one, four = encoded(pixels, threads=1), encoded(pixels, threads=4)
    assert one == four
    np.testing.assert_array_equal(decoded(four), pixels)


def test_the_icc_profile_and_the_dpi_are_stored() -> None:
    """In iCCP and pHYs."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = encoded(noise(30, 40, 4), icc_profile=profile, dpi=(300, 72.5))
    with Image.open(io.BytesIO(file)) as image:
        assert image.info["icc_profile"] == profile
        assert image.info["dpi"] == pytest.approx((300, 72.5), abs=0.02)
    assert [name for name, _ in chunks(file)] == [b"IHDR", b"iCCP", b"pHYs", b"IDAT", b"IDAT", b"IEND"]


@pytest.mark.parametrize("profile", [None, b""], ids=["none", "empty"])
def test_without_a_profile_and_dpi_their_chunks_are_absent(profile: bytes | None) -> None:
    """An empty iCCP would be invalid."""
    names = [name for name, _ in chunks(encoded(noise(3, 4, 3), icc_profile=profile))]
    assert names == [b"IHDR", b"IDAT", b"IDAT", b"IEND"]


@KINDS
@pytest.mark.parametrize("size", [(1, 1), (37, 53), (1200, 1000)])
def test_pngcheck_accepts_the_file(tmp_path: Path, size: tuple[int, int], channels: tuple[int, ...]) -> None:
    """It is stricter than Pillow."""
    pngcheck = shutil.which("pngcheck")
    if pngcheck is None:
        if os.environ.get("CI"):
            pytest.fail("pngcheck is not installed, and CI has to install it.")
        pytest.skip("pngcheck is not installed.")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = tmp_path / "image.png"
    file.write_bytes(
        encoded(noise(*size, *channels), icc_profile=profile if channels else None, dpi=(96, 96))
    )
    checked = subprocess.run([pngcheck, "-q", file], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (np.zeros((), np.uint8), "have the shape"),
        (np.zeros(5, np.uint8), "have the shape"),
        (np.zeros((4, 5, 1), np.uint8), "have the shape"),
        (np.zeros((4, 5, 2), np.uint8), "have the shape"),
        (np.zeros((4, 5, 5), np.uint8), "have the shape"),
        (np.zeros((1, 4, 5, 3), np.uint8), "have the shape"),
        (np.zeros((0, 5, 3), np.uint8), "not 5 x 0"),
        (np.zeros((5, 0), np.uint8), "not 0 x 5"),
        (np.broadcast_to(np.uint8(0), (2**31, 1)), "not 1 x 2147483648"),
        (np.broadcast_to(np.uint8(0), (1, 2**31, 4)), "not 2147483648 x 1"),
    ],
)
def test_an_invalid_shape_is_rejected_before_anything_is_written(
    pixels: npt.NDArray[Any], sentence: str
) -> None:
    """No partial file is left."""
    stream = io.BytesIO()
    with pytest.raises(ValueError, match=sentence):
        encode(pixels, stream)
    assert stream.getvalue() == b""


@pytest.mark.parametrize(
    "rows",
    [np.zeros((4, 5), np.float32), np.zeros((4, 5), np.bool_), np.zeros((3, 5), np.uint8)],
    ids=["float", "bool", "too few"],
)
def test_rows_of_another_type_or_shape_are_rejected(rows: npt.NDArray[Any]) -> None:
    """They would make an invalid file."""
    with pytest.raises(ValueError, match="Rows 0 to 2 of an image"):
        png_writer.encode((4, 5), lambda _top, _bottom: rows, io.BytesIO())


@pytest.mark.parametrize("per_inch", [0.0, -72.0, 0.001, 1e9, float("inf"), float("nan")])
def test_an_invalid_dpi_is_rejected_before_anything_is_written(per_inch: float) -> None:
    """pHYs holds positive 31-bit integers."""
    stream = io.BytesIO()
    with pytest.raises(ValueError, match="resolution of 72 x"):
        encode(noise(2, 2), stream, dpi=(72, per_inch))
    assert stream.getvalue() == b""


def test_zero_threads_are_rejected_before_anything_is_written() -> None:
    """No partial file is left."""
    stream = io.BytesIO()
    with pytest.raises(ValueError, match="greater than 0"):
        encode(noise(2, 2), stream, threads=0)
    assert stream.getvalue() == b""


def test_an_error_of_the_stream_propagates() -> None:
    """Such as a full disk."""
    stream = mock.Mock()
    stream.write.side_effect = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        encode(noise(20, 20, 4), stream)


def test_a_fast_png_is_lossless() -> None:
    """The kept matte is written so."""
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None], 300, axis=0)
    stream = io.BytesIO()
    png_writer.encode(grey.shape, lambda top, bottom: grey[top:bottom], stream, fast=True)
    assert np.array_equal(np.asarray(Image.open(stream)), grey)
