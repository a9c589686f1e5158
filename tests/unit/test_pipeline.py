"""The pipeline of one removal, from file to file, with a fake engine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.errors import ResultTooLarge, StorageFailed
from shared.messages import RemovalJob
from shared.options import RemovalOptions
from tests.fake_workers.by_light import Light
from tests.photos import encoded, opened
from worker import pipeline


def remove(image: bytes, folder: Path, **options: Any) -> Image.Image:
    """Return the result for an image, whose matte is its luma."""
    source, result = folder / "source", folder / "result"
    source.write_bytes(image)
    job = RemovalJob("a", str(source), str(result), RemovalOptions(**options))
    pipeline.remove(job, Light(), 1_000_000, lambda _percent, _message: None)
    return opened(result.read_bytes())


@pytest.mark.parametrize("output", ["cutout", "mask"])
def test_a_result_keeps_the_images_dpi(tmp_path: Path, output: str) -> None:
    """A mask must print at the same size as its image."""
    image = encoded(Image.new("RGB", (6, 4), "white"), dpi=(300, 300))
    assert remove(image, tmp_path, output=output).info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("output", ["cutout", "mask"])
def test_a_post_processed_mask_has_no_partial_transparency(tmp_path: Path, output: str) -> None:
    """The option is rembg's `ppm`; the subject's box is that of the mask which the client gets."""
    image = encoded(Image.linear_gradient("L").convert("RGB"))
    for hard, levels in ((True, 2), (False, 256)):
        result = remove(image, tmp_path, output=output, post_process_mask=hard)
        alpha = result.getchannel(result.getbands()[-1])
        assert np.unique(np.asarray(alpha)).size == levels


def test_the_format_limit_applies_to_the_cropped_size(tmp_path: Path) -> None:
    """A small subject in a wide image fits into a WebP; one as wide as the image is rejected."""
    wide = Image.new("RGB", (16_400, 1))
    wide.paste("white", (8000, 0, 8100, 1))
    assert remove(encoded(wide), tmp_path, crop=True, format="webp").size[0] == pytest.approx(100, abs=2)
    wide.paste("white", (0, 0, 16_400, 1))
    with pytest.raises(ResultTooLarge):
        remove(encoded(wide), tmp_path, crop=True, format="webp")


def test_an_unwritable_result_is_a_storage_error(tmp_path: Path) -> None:
    """Not an error of the image: the operator has to free disk space."""
    (tmp_path / "result").mkdir()  # os.replace() fails on a folder
    with pytest.raises(StorageFailed):
        remove(encoded(Image.new("RGB", (6, 4))), tmp_path)


def animation(kind: str) -> bytes:
    """Return an animation of two frames."""
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_the_result_of_an_animation_says_that_one_frame_was_used(tmp_path: Path, kind: str) -> None:
    """Else its user waits for the others."""
    (tmp_path / "source").write_bytes(animation(kind))
    job = RemovalJob("a", str(tmp_path / "source"), str(tmp_path / "result"), RemovalOptions())
    made = pipeline.remove(job, Light(), 1_000_000, lambda _percent, _message: None)
    assert made.warnings == ("The image is animated: only its first frame was used.",)
    (tmp_path / "source").write_bytes(encoded(Image.new("RGB", (9, 9)), kind))
    assert pipeline.remove(job, Light(), 1_000_000, lambda _percent, _message: None).warnings == ()
