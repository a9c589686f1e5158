"""Every kind of file through HTTP: what goes in comes out, without its background."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tests import corpus, icc
from tests.corpus.pictures import Case, picture
from tests.photos import encoded, opened
from tests.service import Service, running

BY_LIGHT = "tests.fake_workers.by_light:serve"
PRIMARIES = {corpus.P3: icc.DISPLAY_P3, corpus.ADOBE: icc.ADOBE_RGB}
SAME = 3  # of 255: what rounding, and a colour transform's tables, may differ by
SUBJECT = 128  # alpha from which a pixel is the subject's
LIKENESS = 0.85  # of two subjects, intersection over union: in fewer colours, the model sees a little else
# Reading a file's orientation is tested for each format and orientation without the service.
DONE_BY_JPEG = tuple(f"orientation {each}" for each in (1, 2, 3, 4, 5, 8))


@pytest.fixture(scope="module")
def by_light(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose subject is what is light, so that the alpha shows what the network was shown."""
    with running(data_dir, tmp_path_factory.mktemp("light") / "temp", builtin_worker=BY_LIGHT) as shared:
        yield shared


def alpha_of(result: bytes) -> NDArray[np.uint8]:
    """Return a cut-out's alpha."""
    return np.asarray(opened(result).getchannel("A"))


@pytest.mark.parametrize("kind", corpus.FORMATS)
def test_every_kind_of_file_comes_out_as_it_went_in(by_light: Service, kind: str) -> None:
    """Size, orientation, colours, profile and resolution stay; transparency is multiplied; privacy too."""
    wrong = []
    for case in corpus.cases(kind):
        if kind == "JPEG" or case.name not in DONE_BY_JPEG:
            result = by_light.cut(case.content, f"photo.{kind.lower()}", refine="false")
            wrong += [f"{case.name}: {problem}" for problem in problems(case, result)]
    assert not wrong


@pytest.mark.parametrize("kind", corpus.FORMATS)
def test_the_built_in_model_finds_the_person_in_every_format(service: Service, kind: str) -> None:
    """With the network that users have, one file a format: the same person in each."""
    case = next(case for case in corpus.cases(kind) if case.name in {"RGB", "P"})
    here = alpha_of(service.cut(case.content, refine="false")) >= SUBJECT
    there = alpha_of(service.cut(encoded(picture()), refine="false")) >= SUBJECT
    assert 0.1 < there.mean() < 0.9
    assert (here & there).sum() > LIKENESS * (here | there).sum()


def test_a_background_keeps_its_colour_behind_a_scan(by_light: Service) -> None:
    """A scanner's profile defines what a colour looks like, not how to say one: the result is sRGB then."""
    scan = np.zeros((20, 40, 3), np.uint8)
    scan[:, 20:], scan[:5] = (0, 255, 200), (90, 128, 7)
    content = encoded(Image.fromarray(scan), icc_profile=icc.scanner_profile())
    result = opened(by_light.cut(content, "scan.png", background="#c04020", refine="false"))
    assert "icc_profile" not in result.info
    assert result.getpixel((5, 15)) == (192, 64, 32)
    assert result.getpixel((35, 15)) == (255, 255, 255)
    alone = opened(by_light.cut(content, "scan.png", refine="false"))
    assert alone.info["icc_profile"] == icc.scanner_profile()
    assert alone.getpixel((35, 15)) == (0, 255, 200, 255)


def test_a_white_logo_that_is_transparent_already_stays(service: Service) -> None:
    """On white, the network would see nothing and erase it."""
    logo = Image.new("RGBA", (320, 160))
    draw = ImageDraw.Draw(logo)
    draw.ellipse((20, 30, 120, 130), "white")
    draw.rectangle((150, 50, 300, 110), "white")
    drawn = np.asarray(logo.getchannel("A")) == 255
    assert alpha_of(service.cut(encoded(logo), "logo.png"))[drawn].mean() > 230


def problems(case: Case, result: bytes) -> list[str]:
    """Return what of a cut-out is not as the file had it."""
    image = opened(result)
    if image.size != case.rgb.shape[1::-1]:
        return [f"the size is {image.size}"]
    found = []
    rgba = np.asarray(image).astype(int)
    off = np.abs(rgba[..., :3] - case.rgb)[rgba[..., 3] > 0].max(initial=0)
    if off > 1:
        found.append(f"colours are off by {off}")
    off = np.abs(rgba[..., 3] - expected_alpha(case)).max()
    if off > SAME:
        found.append(f"the alpha is off by {off}")
    if image.info.get("icc_profile") != case.profile:
        found.append("the profile is another")
    if case.dpi and image.info.get("dpi") != pytest.approx((case.dpi, case.dpi), abs=0.1):
        found.append(f"the resolution is {image.info.get('dpi')}")
    if b"Secret" in result or image.getexif():
        found.append("EXIF data has come through")
    return found


def expected_alpha(case: Case) -> NDArray[np.int_]:
    """Return the light of what the file shows in sRGB, on white, times the file's own transparency."""
    seen = case.rgb
    if case.profile is not None:
        seen = icc.in_srgb(seen, PRIMARIES[case.profile], 2.2)
    opacity = np.ones(seen.shape[:2]) if case.alpha is None else case.alpha / 255
    on_white = np.rint(seen * opacity[..., None] + 255 * (1 - opacity[..., None])).astype(np.uint8)
    light = np.asarray(Image.fromarray(on_white).convert("L"))
    return np.rint(light * opacity).astype(int)
