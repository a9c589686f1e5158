"""Colour management: the model's input is sRGB for every profile; the decoded pixels stay unchanged."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests import icc
from tests.corpus import P3
from tests.photos import encoded
from worker.imaging.colour import ModelInput
from worker.imaging.decode import DecodedImage, decode

GAMMA = 2.2


@pytest.fixture
def colours() -> NDArray[np.uint8]:
    """Random colours, (48, 64, 3)."""
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def decode_image(image: Image.Image, folder: Path, kind: str = "PNG", **options: object) -> DecodedImage:
    """Write the image and decode it."""
    (folder / "image").write_bytes(encoded(image, kind, **options))
    return decode(folder / "image", 10_000_000)


def pixels_of(model_input: ModelInput) -> NDArray[np.int16]:
    """Return the model's input at its full size."""
    return np.asarray(model_input.resize(model_input.size, Image.Resampling.NEAREST), np.int16)


@pytest.mark.parametrize("primaries", [icc.DISPLAY_P3, icc.ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
def test_the_model_input_of_a_wide_gamut_image_is_srgb(
    tmp_path: Path, colours: NDArray[np.uint8], primaries: tuple[tuple[float, float, float], ...]
) -> None:
    """Networks are trained on sRGB; wide-gamut values interpreted as sRGB look pale."""
    profile = icc.rgb_profile(primaries, GAMMA)
    decoded = decode_image(Image.fromarray(colours), tmp_path, icc_profile=profile)
    assert np.array_equal(np.asarray(decoded.rgb), colours)
    assert decoded.icc_profile == profile
    expected = icc.in_srgb(colours, primaries, GAMMA).astype(int)
    assert np.abs(pixels_of(decoded.to_model_input()) - expected).max() <= 1
    assert np.abs(expected - colours).mean() > 5


@pytest.mark.parametrize("orientation", [1, 6])
def test_adobe_rgb_named_by_exif_alone_is_recognised(tmp_path: Path, orientation: int) -> None:
    """Cameras embed no profile in their JPEGs: without one, the result and the model's input look pale."""
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = orientation, {0xA001: 65535, 0xA005: {1: "R03"}}
    image = Image.new("RGB", (16, 16), (30, 200, 60))
    decoded = decode_image(image, tmp_path, "JPEG", exif=exif, quality=100, subsampling=0)
    assert decoded.icc_profile is not None
    expected = icc.in_srgb(np.asarray(decoded.rgb), icc.ADOBE_RGB, GAMMA).astype(int)
    assert np.abs(pixels_of(decoded.to_model_input()) - expected).max() <= 1
    exif[0x8769] = {0xA001: 1, 0xA005: {1: "R98"}}
    assert decode_image(image, tmp_path, "JPEG", exif=exif).icc_profile is None


def test_converting_after_the_resize_equals_converting_before(tmp_path: Path) -> None:
    """Only the model's reduced input is converted, for speed."""
    image = Image.radial_gradient("L").convert("RGB")
    model_input = decode_image(image, tmp_path, icc_profile=P3).to_model_input()
    assert model_input.size == image.size
    after = np.asarray(model_input.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    full = Image.fromarray(pixels_of(model_input).astype(np.uint8))
    before = full.resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(after - np.asarray(before)).max() <= 1


def test_a_transparent_wide_gamut_image_is_flattened_onto_white(tmp_path: Path) -> None:
    """White is white in every profile."""
    decoded = decode_image(Image.new("RGBA", (9, 9), (200, 0, 0, 0)), tmp_path, icc_profile=P3)
    assert pixels_of(decoded.to_model_input())[4, 4].tolist() == [255, 255, 255]


def test_an_srgb_profile_costs_no_conversion(tmp_path: Path, colours: NDArray[np.uint8]) -> None:
    """Most embedded profiles are sRGB, under one name or another."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode_image(Image.fromarray(colours), tmp_path, icc_profile=profile)
    assert decoded.icc_profile == profile
    assert decoded.to_model_input() is decoded.rgb


@pytest.mark.parametrize("profile", [b"no profile", P3[:200], icc.grey_profile(2.2), icc.cmyk_profile()])
def test_an_unreadable_or_unfitting_profile_is_ignored(
    tmp_path: Path, colours: NDArray[np.uint8], profile: bytes
) -> None:
    """It must neither fail the removal nor end up in the result."""
    decoded = decode_image(Image.fromarray(colours), tmp_path, icc_profile=profile)
    assert decoded.icc_profile is None
    assert np.array_equal(pixels_of(decoded.to_model_input()), colours)


def test_cmyk_is_converted_through_its_profile(tmp_path: Path) -> None:
    """The naive conversion gives wrong greys and neon inks."""
    inks = np.full((8, 8, 4), 90, np.uint8)
    decoded = decode_image(Image.fromarray(inks, "CMYK"), tmp_path, "TIFF", icc_profile=icc.cmyk_profile())
    grey = icc.grey_of_lightness(np.array(100 - 90 / 2.55))
    assert np.abs(np.asarray(decoded.rgb).astype(int) - grey).max() <= 1
    assert decoded.icc_profile is None
    plain = decode_image(Image.fromarray(inks, "CMYK"), tmp_path, "TIFF", icc_profile=b"broken")
    assert plain.rgb.getpixel((0, 0)) == (107, 107, 107)


def test_black_point_compensation_maps_the_darkest_print_to_black(tmp_path: Path) -> None:
    """Printed black is not L* 0; without compensation, printed images look grey on a screen."""
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[4:] = 255
    profile = icc.pale_cmyk_profile(51)
    rgb = decode_image(Image.fromarray(inks, "CMYK"), tmp_path, "TIFF", icc_profile=profile).rgb
    assert (rgb.getpixel((0, 0)), rgb.getpixel((0, 7))) == ((255, 255, 255), (0, 0, 0))


def test_a_profile_that_is_nearly_srgb_is_converted(tmp_path: Path) -> None:
    """Its shadows are a few levels darker, which is above the identity tolerance."""
    greys = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    decoded = decode_image(Image.fromarray(greys), tmp_path, icc_profile=icc.rgb_profile(icc.SRGB, GAMMA))
    expected = icc.in_srgb(greys, icc.SRGB, GAMMA).astype(int)
    assert np.abs(pixels_of(decoded.to_model_input()) - expected).max() <= 1
    assert 2 < np.abs(expected - greys).max() < 12
