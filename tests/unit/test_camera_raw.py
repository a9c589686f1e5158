"""Camera raw files: their preview in full size, or a refusal that names them. Never the thumbnail."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import NotAnImage, TooManyPixels
from tests.camera_raw_files import Kind, camera_raw
from tests.corpus.pictures import STORED, picture
from tests.photos import encoded, opened
from worker.imaging.decode import DecodedImage, decode

KINDS: list[Kind] = ["NEF", "DNG", "CR2"]


def decode_bytes(content: bytes, folder: Path, max_pixels: int = 1_000_000) -> DecodedImage:
    """Decode a file's bytes."""
    (folder / "image").write_bytes(content)
    return decode(folder / "image", max_pixels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_preview_in_full_size_is_used(
    tmp_path: Path,
    kind: Kind,
    big_endian: bool,  # noqa: FBT001
    orientation: int,
) -> None:
    """Upright, with a warning."""
    stored = picture() if orientation == 1 else picture().transpose(STORED[orientation])
    jpeg = encoded(stored, "JPEG", quality=95)
    width, height = stored.size
    sensor = (width + 8, height + 6)
    content = camera_raw(kind, jpeg, sensor, orientation=orientation, big_endian=big_endian)
    image = decode_bytes(content, tmp_path)
    upright = opened(jpeg) if orientation == 1 else opened(jpeg).transpose(STORED[8])
    assert np.array_equal(np.asarray(image.rgb), np.asarray(upright))
    assert image.warnings == (
        f"The file is camera raw: its embedded preview of {width} x {height} pixels was used.",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_smaller_than_half_the_sensor_is_refused(tmp_path: Path, kind: Kind) -> None:
    """The result would be a thumbnail, without a word."""
    width, height = picture().size
    with pytest.raises(NotAnImage, match=r"camera raw.* convert it to JPEG or TIFF"):
        decode_bytes(camera_raw(kind, encoded(picture(), "JPEG"), (2 * width, height + 20)), tmp_path)


def test_a_raw_file_whose_preview_is_no_jpeg_is_refused(tmp_path: Path) -> None:
    """Such as one that is cut short or encrypted."""
    with pytest.raises(NotAnImage, match="camera raw"):
        decode_bytes(camera_raw("DNG", b"no JPEG", (100, 100)), tmp_path)


def test_a_preview_counts_as_any_image_for_the_pixel_limit(tmp_path: Path) -> None:
    """It is decoded in full."""
    jpeg = encoded(picture(), "JPEG")
    with pytest.raises(TooManyPixels):
        decode_bytes(camera_raw("NEF", jpeg, picture().size), tmp_path, max_pixels=1000)


@pytest.mark.parametrize(
    "head", [b"\0\0\0\x18ftypcrx ", b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0", b"IIU\0\x18\0"]
)
def test_raw_files_of_other_formats_are_refused_by_name(tmp_path: Path, head: bytes) -> None:
    """CR3, RAF, ORF and RW2."""
    with pytest.raises(NotAnImage, match="camera raw"):
        decode_bytes(head + bytes(100), tmp_path)
