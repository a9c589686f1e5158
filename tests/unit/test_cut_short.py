"""Files without their end: accepted if all pixels are there, refused if some are missing."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared.errors import DamagedImage
from tests.corpus.pictures import SAMPLES
from tests.photos import encoded
from worker.imaging.decode import decode

LIMIT = 10_000_000
SAVED_AS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "fine": {"quality": 100, "subsampling": 0},
    "with restart markers": {"restart_marker_blocks": 3},
}


@pytest.mark.parametrize("options", SAVED_AS.values(), ids=SAVED_AS)
def test_a_jpeg_without_its_end_is_read_only_if_all_pixels_are_there(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """Cameras that lose power, and broken uploads: libjpeg fills what is missing, without an error."""
    whole = encoded(Image.open(SAMPLES / "cat.jpg").convert("RGB"), "JPEG", **options)
    path = tmp_path / "image"
    path.write_bytes(whole)
    expected = decode(path, LIMIT).rgb.tobytes()
    for missing in (1, 2):
        path.write_bytes(whole[:-missing])
        assert decode(path, LIMIT).rgb.tobytes() == expected
    for missing in (*range(6, 40), 100, 1000, len(whole) // 4, len(whole) // 2, len(whole) * 3 // 4):
        path.write_bytes(whole[:-missing])
        with pytest.raises(DamagedImage):
            decode(path, LIMIT)


def test_a_png_without_its_end_is_read_only_if_all_pixels_are_there(tmp_path: Path) -> None:
    """Its last chunk and the checksum of the pixels' chunk hold none."""
    whole = encoded(Image.open(SAMPLES / "cat.jpg").convert("RGB"))
    path = tmp_path / "image"
    for missing in (1, 4, 11, 12, 13, 16):
        path.write_bytes(whole[:-missing])
        assert decode(path, LIMIT).rgb.tobytes() == Image.open(SAMPLES / "cat.jpg").convert("RGB").tobytes()
    for missing in (100, 1000, len(whole) // 2):
        path.write_bytes(whole[:-missing])
        with pytest.raises(DamagedImage):
            decode(path, LIMIT)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_gif_without_its_end_is_read(tmp_path: Path, missing: int) -> None:
    """Neither its trailer nor the terminator of the last block hold pixels."""
    image = Image.open(SAMPLES / "cat.jpg").convert("L")
    (tmp_path / "image").write_bytes(encoded(image, "GIF")[:-missing])
    assert decode(tmp_path / "image", LIMIT).rgb.getchannel("R").tobytes() == image.tobytes()
