"""Every kind of file is read as what it shows."""

from pathlib import Path

import numpy as np
import pytest

from tests import corpus
from worker.imaging.decode import decode

LIMIT = 1_000_000


@pytest.mark.parametrize("kind", corpus.FORMATS)
def test_every_kind_of_file_is_read_as_what_it_shows(tmp_path: Path, kind: str) -> None:
    """Size, orientation, colours, transparency, profile and resolution, whatever the file is made of."""
    wrong = []
    for case in corpus.cases(kind):
        (tmp_path / "photo").write_bytes(case.content)
        photo = decode(tmp_path / "photo", LIMIT)
        found = np.asarray(photo.rgb)
        shown = np.full(found.shape[:2], 255, np.uint8) if photo.alpha is None else photo.alpha
        same = {
            "size": found.shape == case.rgb.shape,
            "alpha": case.alpha is None or np.abs(shown.astype(int) - case.alpha).max() <= 1,
            "profile": photo.icc_profile == case.profile,
            "dpi": not case.dpi or photo.dpi == pytest.approx((case.dpi, case.dpi), abs=0.1),
        }
        if same["size"]:
            off = np.abs(found.astype(int) - case.rgb)[shown > 0].max()
            same[f"colours: off by {off}"] = off <= 1
        wrong += [f"{case.name}: {name}" for name, is_same in same.items() if not is_same]
    assert not wrong
