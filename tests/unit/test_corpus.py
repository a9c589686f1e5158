"""Decoding a corpus of files of every format and pixel format."""

from pathlib import Path

import numpy as np
import pytest

from tests import corpus
from worker.imaging.decode import decode

LIMIT = 1_000_000


@pytest.mark.parametrize("kind", corpus.FORMATS)
def test_every_kind_of_file_is_decoded_exactly(tmp_path: Path, kind: str) -> None:
    """Size, orientation, colours, alpha, profile and DPI."""
    failures = []
    for case in corpus.cases(kind):
        (tmp_path / "image").write_bytes(case.content)
        decoded = decode(tmp_path / "image", LIMIT)
        rgb = np.asarray(decoded.rgb)
        alpha = np.full(rgb.shape[:2], 255, np.uint8) if decoded.alpha is None else decoded.alpha
        equal = {
            "size": rgb.shape == case.rgb.shape,
            "alpha": case.alpha is None or np.abs(alpha.astype(int) - case.alpha).max() <= 1,
            "profile": decoded.icc_profile == case.profile,
            "dpi": not case.dpi or decoded.dpi == pytest.approx((case.dpi, case.dpi), abs=0.1),
        }
        if equal["size"]:
            error = np.abs(rgb.astype(int) - case.rgb)[alpha > 0].max()
            equal[f"colours: off by {error}"] = error <= 1
        failures += [f"{case.name}: {name}" for name, is_equal in equal.items() if not is_equal]
    assert not failures
