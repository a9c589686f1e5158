"""Colours: the network sees sRGB whatever the photo's profile, and the photo's own pixels stay."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests import icc
from tests.corpus import P3
from tests.photos import encoded
from worker.imaging.decode import Photo, decode

GAMMA = 2.2


@pytest.fixture
def colours() -> NDArray[np.uint8]:
    """Every kind of colour, (48, 64, 3)."""
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def photo_of(image: Image.Image, folder: Path, kind: str = "PNG", **options: object) -> Photo:
    """Write the image and decode it."""
    (folder / "photo").write_bytes(encoded(image, kind, **options))
    return decode(folder / "photo", 10_000_000)


@pytest.mark.parametrize("primaries", [icc.DISPLAY_P3, icc.ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
def test_the_network_sees_a_wide_photo_in_srgb(
    tmp_path: Path, colours: NDArray[np.uint8], primaries: tuple[tuple[float, float, float], ...]
) -> None:
    """A network is trained on sRGB; wide colours taken for it look pale."""
    profile = icc.rgb_profile(primaries, GAMMA)
    photo = photo_of(Image.fromarray(colours), tmp_path, icc_profile=profile)
    assert np.array_equal(np.asarray(photo.rgb), colours)
    assert photo.icc_profile == profile
    expected = icc.in_srgb(colours, primaries, GAMMA).astype(int)
    assert np.abs(np.asarray(photo.for_network()) - expected).max() <= 1
    assert np.abs(expected - colours).mean() > 5


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_cameras_adobe_rgb_is_told_by_exif_alone(tmp_path: Path, orientation: int) -> None:
    """Cameras put no profile into their JPEGs: without one, the result looks pale to all and the network."""
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = orientation, {0xA001: 65535, 0xA005: {1: "R03"}}
    image = Image.new("RGB", (16, 16), (30, 200, 60))
    photo = photo_of(image, tmp_path, "JPEG", exif=exif, quality=100, subsampling=0)
    assert photo.icc_profile is not None
    expected = icc.in_srgb(np.asarray(photo.rgb), icc.ADOBE_RGB, GAMMA).astype(int)
    assert np.abs(np.asarray(photo.for_network()) - expected).max() <= 1
    exif[0x8769] = {0xA001: 1, 0xA005: {1: "R98"}}
    assert photo_of(image, tmp_path, "JPEG", exif=exif).icc_profile is None


def test_a_reduced_copy_has_the_colours_of_the_whole(tmp_path: Path) -> None:
    """Only what the network looks at is converted: that must be no other picture."""
    image = Image.radial_gradient("L").convert("RGB")
    seen = photo_of(image, tmp_path, icc_profile=P3).for_network()
    assert seen.size == image.size
    small = np.asarray(seen.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    whole = Image.fromarray(np.asarray(seen)).resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(small - np.asarray(whole)).max() <= 1
    assert np.array_equal(np.asarray(seen.crop((9, 9, 20, 30))), np.asarray(seen)[9:30, 9:20])


def test_a_transparent_part_of_a_wide_photo_is_seen_white(tmp_path: Path) -> None:
    """White is white in every profile."""
    seen = photo_of(Image.new("RGBA", (9, 9), (200, 0, 0, 0)), tmp_path, icc_profile=P3).for_network()
    assert seen.getpixel((4, 4)) == (255, 255, 255)


def test_an_srgb_profile_costs_no_conversion(tmp_path: Path, colours: NDArray[np.uint8]) -> None:
    """Most profiles in photos are sRGB, under one name or another."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = photo_of(Image.fromarray(colours), tmp_path, icc_profile=profile)
    assert photo.icc_profile == profile
    assert photo.for_network() is photo.rgb


@pytest.mark.parametrize("profile", [b"no profile", P3[:200], icc.grey_profile(2.2), icc.cmyk_profile()])
def test_a_profile_that_does_not_fit_is_ignored(
    tmp_path: Path, colours: NDArray[np.uint8], profile: bytes
) -> None:
    """A removal must not fail for it, nor a viewer be misled by it."""
    photo = photo_of(Image.fromarray(colours), tmp_path, icc_profile=profile)
    assert photo.icc_profile is None
    assert np.array_equal(np.asarray(photo.for_network()), colours)


def test_print_colours_are_read_by_their_profile(tmp_path: Path) -> None:
    """Without it, a press's black would come out as another grey, and its inks as neon."""
    inks = np.full((8, 8, 4), 90, np.uint8)
    photo = photo_of(Image.fromarray(inks, "CMYK"), tmp_path, "TIFF", icc_profile=icc.cmyk_profile())
    grey = icc.grey_of_lightness(np.array(100 - 90 / 2.55))
    assert np.abs(np.asarray(photo.rgb).astype(int) - grey).max() <= 1
    assert photo.icc_profile is None
    plain = photo_of(Image.fromarray(inks, "CMYK"), tmp_path, "TIFF", icc_profile=b"broken")
    assert plain.rgb.getpixel((0, 0)) == (107, 107, 107)


def test_the_darkest_that_a_press_prints_becomes_black(tmp_path: Path) -> None:
    """Paper keeps some light; shown as it is, every printed photo would look grey on a screen."""
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[4:] = 255
    profile = icc.pale_cmyk_profile(51)
    photo = photo_of(Image.fromarray(inks, "CMYK"), tmp_path, "TIFF", icc_profile=profile)
    assert (photo.rgb.getpixel((0, 0)), photo.rgb.getpixel((0, 7))) == ((255, 255, 255), (0, 0, 0))


def test_a_profile_that_is_nearly_srgb_is_converted(tmp_path: Path) -> None:
    """Its shadows are darker by a few steps, which the eye sees and a network may."""
    greys = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    photo = photo_of(Image.fromarray(greys), tmp_path, icc_profile=icc.rgb_profile(icc.SRGB, GAMMA))
    expected = icc.in_srgb(greys, icc.SRGB, GAMMA).astype(int)
    assert np.abs(np.asarray(photo.for_network()) - expected).max() <= 1
    assert 2 < np.abs(expected - greys).max() < 12
