"""One removal from file to file, by an engine that needs no model."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared.errors import ResultTooLarge, StorageFailed
from shared.messages import RemovalJob
from shared.options import RemovalOptions
from tests.fake_workers.by_light import Light
from tests.photos import encoded, opened
from worker import pipeline


def removed(photo: bytes, folder: Path, **options: Any) -> Image.Image:
    """Return the result for a photo; the lighter its pixels, the more they are the subject's."""
    source, result = folder / "source", folder / "result"
    source.write_bytes(photo)
    job = RemovalJob("a", str(source), str(result), RemovalOptions(**options))
    pipeline.remove(job, Light(), 1_000_000, lambda _percent, _message: None)
    return opened(result.read_bytes())


@pytest.mark.parametrize("output", ["cutout", "mask"])
def test_a_result_is_printed_at_the_photos_size(tmp_path: Path, output: str) -> None:
    """A mask that lies over the photo in a layout must be as large as the photo."""
    photo = encoded(Image.new("RGB", (6, 4), "white"), dpi=(300, 300))
    assert removed(photo, tmp_path, output=output).info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_crop_decides_whether_the_format_can_hold_the_result(tmp_path: Path) -> None:
    """A small subject in a wide photo fits; one as wide as the photo is refused in words."""
    wide = Image.new("RGB", (16_400, 1))
    wide.paste("white", (8000, 0, 8100, 1))
    assert removed(encoded(wide), tmp_path, crop=True, format="webp").size[0] == pytest.approx(100, abs=2)
    wide.paste("white", (0, 0, 16_400, 1))
    with pytest.raises(ResultTooLarge):
        removed(encoded(wide), tmp_path, crop=True, format="webp")


def test_a_result_that_cannot_be_written_is_no_fault_of_the_photo(tmp_path: Path) -> None:
    """The user has to make room, and not to look for what is wrong with the picture."""
    (tmp_path / "result").mkdir()  # a file cannot take its place
    with pytest.raises(StorageFailed):
        removed(encoded(Image.new("RGB", (6, 4))), tmp_path)
