"""Every option of what comes out, through HTTP with the real built-in model."""

import io
import sys
import zipfile
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.conftest import SAMPLES
from tests.photos import encoded, opened, wish
from tests.service import Service

Pixels = NDArray[np.uint8]
SIDE = 512  # the astronaut's photo


@pytest.fixture(scope="module")
def cutout(service: Service, astronaut: bytes) -> Pixels:
    """The astronaut as she comes out by default."""
    return np.asarray(opened(service.cut(astronaut)))


@pytest.fixture(scope="module")
def facts(service: Service, astronaut: bytes) -> dict[str, Any]:
    """What the default result says of itself."""
    return removal_result(service, astronaut)


def removal_result(service: Service, photo: bytes, **options: str) -> dict[str, Any]:
    """Remove a background and return the result as clients see it."""
    task_id = service.upload(photo, "my photo.jpg", **options)
    task = service.finished(task_id)
    assert task["status"] == "complete", task
    result: dict[str, Any] = service.client.get(f"/remove/result/{task_id}").json()
    return result


def result_of(service: Service, answer: Any) -> Image.Image:
    """Follow an accepted removal to its result."""
    assert answer.status_code == 200, answer.text
    task_id = answer.json()["task_id"]
    assert service.finished(task_id)["status"] == "complete"
    result = service.client.get(f"/remove/result/{task_id}").json()
    return opened(service.client.get(result["result_url"].removeprefix("/api/v1")).content)


def over(cutout: Pixels, colour: tuple[int, ...] | Pixels) -> Pixels:
    """Lay a cut-out over a colour or a picture, as the textbook says."""
    share = cutout[..., 3:].astype(float) / 255
    return np.rint(cutout[..., :3] * share + np.asarray(colour) * (1 - share)).astype(np.uint8)


def test_the_result_tells_where_the_subject_is(facts: dict[str, Any], cutout: Pixels) -> None:
    """A shop places its goods by it without opening the picture."""
    left, top, width, height = facts["box"]
    assert facts["subject"] is True
    assert facts["coverage"] == pytest.approx(cutout[..., 3].mean() / 255, abs=1e-4)
    shows = cutout[..., 3] >= 13
    assert shows[top : top + height, left : left + width].sum() == shows.sum()
    assert shows[top].any()
    assert shows[:, left].any()
    assert shows[top + height - 1].any()
    assert shows[:, left + width - 1].any()
    assert (facts["width"], facts["height"], facts["format"]) == (SIDE, SIDE, "png")
    assert list(facts["timings_ms"]) == ["queued", "decode", "inference", "refine", "encode", "total"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory maps")
def test_a_result_brings_no_library_of_the_workers_along(service: Service, facts: dict[str, Any]) -> None:
    """A message with a type of the worker's own in it would make the supervisor import NumPy and Pillow."""
    assert facts["box"]
    mapped = {part.path for part in psutil.Process(service.process.pid).memory_maps()}
    assert any("pydantic" in path for path in mapped), "libraries are seen"
    assert not [path for path in mapped if "numpy" in path or "PIL" in path]


def test_an_empty_wall_has_no_subject(service: Service) -> None:
    """And a crop to nothing leaves the photo's size."""
    wall = encoded(Image.new("RGB", (640, 480), (120, 130, 140)))
    result = removal_result(service, wall, crop="true")
    assert (result["subject"], result["box"]) == (False, None)
    assert result["coverage"] < 0.5
    assert (result["width"], result["height"]) == (640, 480)


@pytest.mark.parametrize(("background", "rgb"), [("#0a0", (0, 170, 0)), ("rebeccapurple", (102, 51, 153))])
def test_a_colour_is_put_behind(
    service: Service, astronaut: bytes, cutout: Pixels, background: str, rgb: tuple[int, ...]
) -> None:
    """Clear pixels are exactly that colour, opaque ones the photo's, and the file has no alpha."""
    image = opened(service.cut(astronaut, background=background))
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - over(cutout, rgb)).max() <= 1


def test_a_translucent_colour_stays_translucent(service: Service, astronaut: bytes, cutout: Pixels) -> None:
    """For those who lay the result over something else again."""
    image = np.asarray(opened(service.cut(astronaut, background="#ff000040")))
    assert (image[cutout[..., 3] == 0] == (255, 0, 0, 64)).all()
    assert np.array_equal(image[cutout[..., 3] == 255], cutout[cutout[..., 3] == 255])


def test_an_uploaded_image_covers_the_photo(service: Service, astronaut: bytes, cutout: Pixels) -> None:
    """A wide image loses its sides and keeps its proportions."""
    stripes = np.zeros((256, 1024, 3), np.uint8)
    stripes[:, :380], stripes[:, 380:644], stripes[:, 644:] = (255, 0, 0), (0, 0, 255), (255, 0, 0)
    image = np.asarray(result_of(service, service.upload_over(astronaut, encoded(Image.fromarray(stripes)))))
    assert image.shape == (SIDE, SIDE, 3)
    clear, opaque = cutout[..., 3] == 0, cutout[..., 3] == 255
    assert (image[clear] == (0, 0, 255)).all()
    assert np.array_equal(image[opaque], cutout[opaque][:, :3])


def test_a_background_of_any_kind_is_accepted(service: Service, astronaut: bytes) -> None:
    """What may be a photo may be a background, jpeg results included."""
    back = encoded(Image.new("CMYK", (50, 70), (0, 0, 255, 0)), "TIFF")
    image = result_of(service, service.upload_over(astronaut, back, format="jpeg"))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIDE, SIDE))
    assert np.abs(np.asarray(image, int)[5, 5] - (255, 255, 0)).max() < 6


def test_a_crop_is_the_subjects_box(service: Service, astronaut: bytes, facts: dict[str, Any]) -> None:
    """Without room, and with room, which is transparent beyond the photo's edge."""
    left, top, width, height = facts["box"]
    tight = np.asarray(opened(service.cut(astronaut, crop="true", refine="false")))
    plain = np.asarray(opened(service.cut(astronaut, refine="false")))
    assert np.array_equal(tight, plain[top : top + height, left : left + width])
    assert facts["frame"] == [0, 0, SIDE, SIDE]
    assert (facts["photo_width"], facts["photo_height"]) == (SIDE, SIDE)
    roomy = removal_result(service, astronaut, crop="true", crop_margin="10px", max_size="100")
    assert roomy["frame"] == [left - 10, top - 10, width + 20, height + 20]
    assert max(roomy["width"], roomy["height"]) == 100
    assert roomy["scale_factor"] == pytest.approx(100 / max(width + 20, height + 20), rel=0.01)
    edge = np.asarray(opened(service.cut(astronaut, crop="true", margin="0 0 40px 0")))
    assert edge.shape[:2] == (height + 40, width)
    assert not edge[-40:].any()


def test_a_result_is_scaled_down_and_says_so(service: Service, astronaut: bytes, cutout: Pixels) -> None:
    """The longest side counts, and the picture is the same one."""
    photo = (SAMPLES / "cat.jpg").read_bytes()
    wide = opened(photo).size
    result = removal_result(service, photo, max_size="100")
    assert (result["width"], result["height"]) == (100, round(wide[1] * 100 / wide[0]))
    small = np.asarray(opened(service.cut(astronaut, max_size="128", refine="false")))
    expected = Image.fromarray(cutout).resize((128, 128), Image.Resampling.HAMMING)
    opaque = np.asarray(expected)[..., 3] == 255
    assert np.abs(small[opaque].astype(int) - np.asarray(expected)[opaque]).max() <= 2
    assert opened(service.cut(astronaut, max_size="5000")).size == (SIDE, SIDE)


def test_refining_changes_soft_pixels_and_no_others(
    service: Service, astronaut: bytes, cutout: Pixels
) -> None:
    """`refine=false` gives the photo's pixels, whatever they were mixed with."""
    photo = np.asarray(opened(astronaut))
    plain = np.asarray(opened(service.cut(astronaut, refine="false")))
    seen, opaque = plain[..., 3] > 0, plain[..., 3] == 255
    assert np.array_equal(plain[seen][:, :3], photo[seen])
    assert np.array_equal(cutout[opaque], plain[opaque])
    assert np.array_equal(cutout[..., 3], plain[..., 3])
    assert not np.array_equal(cutout, plain)


def test_webp_is_exact_when_lossless_and_small_when_not(
    service: Service, astronaut: bytes, cutout: Pixels
) -> None:
    """For the web: a tenth of a PNG's size, with the same alpha."""
    lossless = service.cut(astronaut, format="webp", lossless="true")
    assert opened(lossless).format == "WEBP"
    assert np.array_equal(np.asarray(opened(lossless)), cutout)
    lossy = service.cut(astronaut, format="webp", quality="60")
    assert len(lossy) < len(lossless) / 4
    image = np.asarray(opened(lossy))
    assert np.array_equal(image[..., 3], cutout[..., 3])
    opaque = cutout[..., 3] == 255
    assert np.abs(image[opaque][:, :3].astype(int) - cutout[opaque][:, :3]).mean() < 5


def test_a_jpeg_is_opaque(service: Service, astronaut: bytes, cutout: Pixels) -> None:
    """White where the wall was, also without a background, no alpha, the quality asked for."""
    file = service.cut(astronaut, format="jpeg", background="white", quality="95")
    image = opened(file)
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert np.abs(np.asarray(image).astype(int) - over(cutout, (255, 255, 255))).mean() < 2
    assert service.cut(astronaut, format="jpeg", quality="95") == file
    assert len(service.cut(astronaut, format="jpeg", background="white", quality="30")) < len(file) / 2
    pink = np.asarray(
        opened(service.cut(astronaut, format="jpeg", background="#ff000080", quality="95")), int
    )
    assert np.abs(pink[cutout[..., 3] == 0] - (255, 127, 127)).mean() < 2


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_a_mask_is_the_alpha_in_grey(
    service: Service, astronaut: bytes, cutout: Pixels, format_: str
) -> None:
    """In any format, and a jpeg of it needs no background."""
    mask = opened(service.cut(astronaut, output="mask", format=format_, lossless="true", quality="100"))
    most = 3 if format_ == "jpeg" else 0
    assert np.abs(np.asarray(mask.convert("L")).astype(int) - cutout[..., 3]).max() <= most


def test_a_mask_is_scaled_as_the_cutouts_alpha_is(service: Service, astronaut: bytes) -> None:
    """Who composes with a small mask gets the edge that a small cut-out has."""
    mask = opened(service.cut(astronaut, output="mask", max_size="200"))
    small = opened(service.cut(astronaut, max_size="200"))
    assert np.array_equal(np.asarray(mask), np.asarray(small.getchannel("A")))


def test_a_background_for_a_mask_changes_nothing(service: Service, astronaut: bytes) -> None:
    """Not even by being damaged: it is not looked at."""
    files = {"file": ("photo.jpg", astronaut), "background_file": ("beach.png", wish("cut short"))}
    answer = service.client.post("/remove/upload", files=files, data={"output": "mask"})
    assert service.finished(answer.json()["task_id"])["status"] == "complete"


def test_both_come_in_a_zip(service: Service, astronaut: bytes, cutout: Pixels) -> None:
    """Named after the photo, the zip and what is in it; the pictures are not packed a second time."""
    result = removal_result(service, astronaut, output="both")
    assert (result["format"], result["width"]) == ("zip", SIDE)
    answer = service.client.get(result["result_url"].removeprefix("/api/v1"))
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="my photo-both.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["my photo-cutout.png", "my photo-mask.png"]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert np.array_equal(np.asarray(opened(archive.read("my photo-cutout.png"))), cutout)
        assert np.array_equal(np.asarray(opened(archive.read("my photo-mask.png"))), cutout[..., 3])


def test_layers_are_the_colours_and_the_alpha_in_a_zip(
    service: Service, astronaut: bytes, cutout: Pixels
) -> None:
    """With the fixed names that remove.bg's clients expect; the two give the cut-out again."""
    result = removal_result(service, astronaut, output="layers", quality="95")
    assert (result["format"], result["width"]) == ("zip", SIDE)
    answer = service.client.get(result["result_url"].removeprefix("/api/v1"))
    assert 'filename="my photo-layers.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["color.jpg", "alpha.png"]
        color, alpha = (opened(archive.read(name)) for name in archive.namelist())
    assert np.array_equal(np.asarray(alpha), cutout[..., 3])
    opaque = cutout[..., 3] == 255
    assert np.abs(np.asarray(color, int)[opaque] - cutout[opaque][:, :3]).mean() < 4


@pytest.mark.parametrize(
    ("options", "media_type", "name"),
    [
        ({"format": "webp"}, "image/webp", "my%20photo-cutout.webp"),
        ({"format": "jpeg", "background": "red"}, "image/jpeg", "my%20photo-cutout.jpg"),
        ({"output": "mask"}, "image/png", "my%20photo-mask.png"),
    ],
)
def test_a_file_is_named_and_typed_as_what_it_is(
    service: Service, astronaut: bytes, options: dict[str, str], media_type: str, name: str
) -> None:
    """Browsers save and show it by these."""
    result = removal_result(service, astronaut, **options)
    answer = service.client.get(result["result_url"].removeprefix("/api/v1"))
    assert answer.headers["content-type"] == media_type
    assert name in answer.headers["content-disposition"]
    assert result["format"] == options.get("format", "png")


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_a_photos_profile_is_kept_over_a_background(service: Service, format_: str) -> None:
    """Its pixels mean what they say only with it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = encoded(Image.new("RGB", (64, 64), "gray"), icc_profile=profile)
    image = opened(service.cut(photo, format=format_, background="#123456"))
    assert image.info["icc_profile"] == profile
