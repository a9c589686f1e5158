"""Encoding results as PNG, WebP and JPEG: exactness, alpha bleeding, metadata and size limits."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from shared.errors import ResultTooLarge
from shared.options import FormatChoice, RemovalOptions
from tests.conftest import SAMPLES
from tests.photos import opened
from worker.imaging.encoding import Encoder, OutputImage
from worker.imaging.geometry import Pixels


def encode(pixels: Pixels, encoder: Encoder, **metadata: object) -> bytes:
    """Return the encoded file."""
    stream = io.BytesIO()
    image = OutputImage(pixels.shape, lambda top, bottom: pixels[top:bottom], **metadata)  # type: ignore[arg-type]
    encoder.write(image, stream)
    return stream.getvalue()


def gradient(*shape: int) -> Pixels:
    """Return smooth colours, as in photographs."""
    y, x, *_ = np.ogrid[: shape[0], : shape[1]]
    planes = [(x + y) % 256, (2 * x) % 256, (3 * y) % 256, 255 * (x > y)][: shape[2] if len(shape) > 2 else 1]
    pixels = np.stack(np.broadcast_arrays(*planes), axis=-1).astype(np.uint8)
    return pixels if len(shape) > 2 else pixels[..., 0]


@pytest.fixture
def profile() -> bytes:
    """An sRGB profile; it contains its creation time, so that no two are equal."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    "encoder", [Encoder("png", 90, lossless=False), Encoder("webp", 1, lossless=True)], ids=str
)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossless_format_keeps_every_sample(encoder: Encoder, channels: int) -> None:
    """Including the colours of transparent pixels."""
    pixels = np.random.default_rng(2).integers(0, 256, (150, 70, channels), np.uint8)
    if channels == 4:
        pixels[:50, :, 3] = 0
    image = opened(encode(pixels, encoder))
    assert np.array_equal(np.asarray(image.convert("RGBA" if channels == 4 else "RGB")), pixels)


def test_a_lossy_webp_keeps_the_alpha_exactly() -> None:
    """The quality option is for colours; an approximated alpha has holes."""
    pixels = gradient(100, 100, 4)
    image = opened(encode(pixels, Encoder("webp", 20, lossless=False)))
    assert np.array_equal(np.asarray(image.getchannel("A")), pixels[..., 3])


def test_a_large_noisy_image_can_be_a_lossy_webp() -> None:
    """It would overflow the first partition of VP8 with the fastest method."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
    pixels = np.tile(noise, (2, 2, 1))
    assert opened(encode(pixels, Encoder("webp", 90, lossless=False))).size == (4000, 4000)


def test_transparent_black_does_not_bleed_into_a_lossy_edge() -> None:
    """A bright subject must not have a dark rim."""
    pixels = np.zeros((90, 90, 4), np.uint8)
    pixels[20:71, 20:71] = (250, 240, 230, 255)
    image = np.asarray(opened(encode(pixels, Encoder("webp", 60, lossless=False))))
    assert image[20:71, 20:71, :3].min() > 215


@pytest.mark.parametrize("size", [(90, 90), (93, 86)])
def test_a_coloured_subject_has_no_dark_rim_in_a_lossy_webp(size: tuple[int, int]) -> None:
    """Chroma subsampling spreads transparent black further than luma does."""
    y, x = np.ogrid[: size[0], : size[1]]
    pixels = np.zeros((*size, 4), np.uint8)
    subject = np.hypot(y - 45, x - 45) < 30
    pixels[subject] = (230, 40, 40, 255)
    image = np.asarray(opened(encode(pixels, Encoder("webp", 90, lossless=False))))
    assert np.abs(image[subject].astype(int) - (230, 40, 40, 255)).max() < 12


@pytest.mark.parametrize("format_", ["webp", "jpeg"])
def test_quality_changes_the_file_size(format_: FormatChoice) -> None:
    """The option trades size for fidelity."""
    pixels = np.random.default_rng(3).integers(0, 256, (100, 100, 3), np.uint8)
    small, large = (len(encode(pixels, Encoder(format_, quality, lossless=False))) for quality in (20, 100))
    assert small < large / 2


@pytest.mark.parametrize("quality", [RemovalOptions().quality, 95, 100])
@pytest.mark.parametrize("turned", [False, True])
def test_a_jpeg_of_the_default_quality_has_no_chroma_subsampling(quality: int, *, turned: bool) -> None:
    """Subsampling smears a red background into the subject, across and down."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :31], pixels[:, 31:] = (255, 0, 0), (0, 200, 0)
    pixels = np.ascontiguousarray(pixels.transpose(1, 0, 2)) if turned else pixels
    image = np.asarray(opened(encode(pixels, Encoder("jpeg", quality, lossless=False))))
    assert np.abs(image.astype(int) - pixels).max() < 45


def test_a_jpeg_of_lower_quality_is_small_by_chroma_subsampling() -> None:
    """Nobody who asks for a small file sees the chroma."""
    image = opened(encode(gradient(64, 64, 3), Encoder("jpeg", 89, lossless=False)))
    assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_the_icc_profile_is_embedded(format_: FormatChoice, profile: bytes) -> None:
    """Without it, a wide-gamut image looks dull."""
    file = encode(gradient(20, 30, 3), Encoder(format_, 90, lossless=False), icc_profile=profile)
    assert opened(file).info["icc_profile"] == profile
    assert "icc_profile" not in opened(encode(gradient(20, 30, 3), Encoder(format_, 90, lossless=False))).info


@pytest.mark.parametrize("format_", ["png", "jpeg"])
def test_the_dpi_is_stored(format_: FormatChoice) -> None:
    """So that the result prints at the size of the input."""
    file = encode(gradient(20, 30, 3), Encoder(format_, 90, lossless=False), dpi=(300.0, 300.0))
    assert opened(file).info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("format_", ["png", "webp", "jpeg"])
def test_a_grey_image_stays_grey(format_: FormatChoice) -> None:
    """A mask's values must not change."""
    pixels = gradient(40, 50)
    image = np.asarray(opened(encode(pixels, Encoder(format_, 95, lossless=False))).convert("RGB"))
    assert np.abs(image.astype(int) - pixels[..., np.newaxis]).max() <= (0 if format_ == "png" else 12)


@pytest.mark.parametrize(("format_", "most"), [("webp", 16_383), ("jpeg", 65_500)])
def test_size_limits_are_the_formats_own(format_: FormatChoice, most: int) -> None:
    """An accepted size can be encoded; a larger one is rejected before any work."""
    encoder = Encoder(format_, 50, lossless=False)
    encoder.check_size((most, 1))
    assert opened(encode(np.zeros((1, most, 3), np.uint8), encoder)).size == (most, 1)
    with pytest.raises(ResultTooLarge, match="'max_size'"):
        encoder.check_size((1, most + 1))
    with pytest.raises((OSError, ValueError)):
        Image.new("RGB", (most + 1, 1)).save(io.BytesIO(), format_)
    Encoder("png", 50, lossless=False).check_size((10**6, 1))


def test_transparent_black_does_not_bleed_into_a_round_subject() -> None:
    """A square's edges may coincide with the encoder's blocks; a disc's do not."""
    y, x = np.ogrid[:96, :96]
    disc = np.hypot(x - 48, y - 48) < 37
    pixels = np.where(disc[..., np.newaxis], (250, 240, 230, 255), 0).astype(np.uint8)
    image = np.asarray(opened(encode(pixels, Encoder("webp", 20, lossless=False))))
    assert np.abs(image[disc].astype(int) - pixels[disc]).max() < 30


def test_quality_does_not_change_a_lossless_webp() -> None:
    """libwebp would use it as the compression effort, which takes up to nine times as long."""
    pixels = np.asarray(opened((SAMPLES / "cat.jpg").read_bytes()))[:128, :128]
    low, high = (encode(pixels, Encoder("webp", quality, lossless=True)) for quality in (1, 100))
    assert low == high
