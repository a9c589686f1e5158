"""Foreground estimation on the built-in model's matte of a real photograph."""

from pathlib import Path

import numpy as np
import pytest

from shared.messages import WorkerConfig
from shared.onnx_models import U2NET
from tests.conftest import SAMPLES
from worker.engines.onnx_engine import OnnxEngine
from worker.imaging.decode import decode
from worker.imaging.foreground import estimate_foreground
from worker.imaging.matting import compute_matte


@pytest.mark.parametrize("enlargement", [1, 6], ids=["original size", "9 megapixels"])
def test_the_halo_of_the_old_background_is_at_least_halved(data_dir: Path, enlargement: int) -> None:
    """Brown hair in front of a bright wall, which is a halo around the head on a dark background."""
    image = decode(SAMPLES / "astronaut.jpg", 10**6).rgb
    image = image.resize((image.width * enlargement, image.height * enlargement))
    path = data_dir / "models/builtin/u2netp.onnx"
    engine = OnnxEngine(WorkerConfig("onnx", str(path), 10**8, input_size=(320, 320), network=U2NET))
    alpha, photo = compute_matte(image, engine, lambda _share: None)[0], np.asarray(image)
    corrected = np.asarray(estimate_foreground(image, alpha))
    np.testing.assert_array_equal(corrected[alpha == 255], photo[alpha == 255])

    head = tuple(slice(start * enlargement, stop * enlargement) for start, stop in ((10, 130), (140, 310)))
    alpha, photo, corrected = alpha[head], photo[head], corrected[head]
    edge = (alpha > 64) & (alpha < 192)
    hair = photo[(alpha > 215) & (alpha < 253)].mean()  # near the edge only: the face is bright
    wall = photo[alpha < 3].mean()
    assert wall - hair > 60
    before, after = photo[edge].mean() - hair, corrected[edge].mean() - hair
    assert before > 30
    assert abs(after) < before / 2
