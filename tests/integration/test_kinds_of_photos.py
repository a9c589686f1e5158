"""Every kind of file through HTTP and the built-in model: what goes in comes out, without its background."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests import corpus
from tests.corpus.pictures import Case, picture
from tests.photos import encoded, opened
from tests.service import Service

SUBJECT = 128  # alpha from which a pixel is the subject's
LIKENESS = (
    0.85  # of two subjects, intersection over union: greys and few colours change the model's mind a little
)
COARSE = ("1", "L of 2 bits")  # the model sees something else in these, whatever the file
# Reading a file's orientation is tested for each format and orientation without the service.
DONE_BY_JPEG = tuple(f"orientation {each}" for each in (1, 2, 3, 4, 5, 8))


@pytest.fixture(scope="module")
def subject(service: Service) -> NDArray[np.bool_]:
    """Where the person is in the picture of which most files are made."""
    return alpha_of(service.cut(encoded(picture()), refine="false")) >= SUBJECT


def alpha_of(result: bytes) -> NDArray[np.uint8]:
    """Return a cut-out's alpha."""
    return np.asarray(opened(result).getchannel("A"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", corpus.FORMATS)
def test_every_kind_of_file_comes_out_as_it_went_in(
    service: Service, subject: NDArray[np.bool_], kind: str
) -> None:
    """Size, orientation, colours, profile and resolution stay; transparency is multiplied; privacy too."""
    wrong = []
    for case in corpus.cases(kind):
        if kind != "JPEG" and case.name in DONE_BY_JPEG:
            continue
        there = subject
        if case.name in COARSE:
            there = alpha_of(service.cut(encoded(Image.fromarray(case.rgb)), refine="false")) >= SUBJECT
        result = service.cut(case.content, f"photo.{kind.lower()}", refine="false")
        wrong += [f"{case.name}: {problem}" for problem in problems(case, result, there)]
    assert not wrong


def problems(case: Case, result: bytes, subject: NDArray[np.bool_]) -> list[str]:
    """Return what of a cut-out is not as the file had it."""
    image = opened(result)
    if image.size != case.rgb.shape[1::-1]:
        return [f"the size is {image.size}"]
    found = []
    rgba, alpha = np.asarray(image).astype(int), alpha_of(result)
    shown = alpha > 0
    off = np.abs(rgba[..., :3] - case.rgb)[shown].max(initial=0)
    if off > 1:
        found.append(f"colours are off by {off}")
    if not 0.05 < shown.mean() < 0.95:
        found.append(f"{shown.mean():.0%} of it are shown")
    if case.alpha is not None and (alpha > case.alpha.astype(int) + 1).any():
        found.append("its own transparency is lost")
    if case.rgb.shape[:2] == subject.shape and (like := likeness(case, alpha, subject)) < LIKENESS:
        found.append(f"the subject is another: {like:.2f}")
    if image.info.get("icc_profile") != case.profile:
        found.append("the profile is another")
    if case.dpi and image.info.get("dpi") != pytest.approx((case.dpi, case.dpi), abs=0.1):
        found.append(f"the resolution is {image.info.get('dpi')}")
    if b"Secret" in result or image.getexif():
        found.append("EXIF data has come through")
    return found


def likeness(case: Case, alpha: NDArray[np.uint8], subject: NDArray[np.bool_]) -> float:
    """Return how far the cut-out's subject is the picture's, where the file itself is opaque."""
    opaque = np.full(subject.shape, fill_value=True) if case.alpha is None else case.alpha == 255
    here, there = (alpha >= SUBJECT) & opaque, subject & opaque
    return float((here & there).sum() / (here | there).sum())
