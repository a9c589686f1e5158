"""The built-in model's soft edges on a real photograph: does the old background shine through?"""

from pathlib import Path

import numpy as np
import pytest

from shared.messages import WorkerConfig
from tests.conftest import SAMPLES
from worker.engines.builtin_engine import BuiltinEngine
from worker.imaging.decode import decode
from worker.imaging.foreground import decontaminated
from worker.imaging.matting import matte


@pytest.mark.parametrize("enlargement", [1, 6], ids=["as it is", "9 megapixels"])
def test_the_wall_behind_the_astronauts_hair_does_not_shine_through(data_dir: Path, enlargement: int) -> None:
    """Brown hair before a bright wall: over black, the wall's light is a halo around her head."""
    image = decode(SAMPLES / "astronaut.jpg", 10**6).rgb
    image = image.resize((image.width * enlargement, image.height * enlargement))
    engine = BuiltinEngine(WorkerConfig("builtin", str(data_dir / "models/builtin/u2netp.onnx"), 10**8))
    alpha, photo = matte(image, engine, lambda _share: None), np.asarray(image)
    corrected = np.asarray(decontaminated(image, alpha))
    np.testing.assert_array_equal(corrected[alpha == 255], photo[alpha == 255])

    head = tuple(slice(start * enlargement, stop * enlargement) for start, stop in ((10, 130), (140, 310)))
    alpha, photo, corrected = alpha[head], photo[head], corrected[head]
    edge = (alpha > 64) & (alpha < 192)
    hair = photo[
        (alpha > 215) & (alpha < 253)
    ].mean()  # beside the edge: further in is her face, which is bright
    wall = photo[alpha < 3].mean()
    assert wall - hair > 60
    before, after = photo[edge].mean() - hair, corrected[edge].mean() - hair
    assert before > 30
    assert abs(after) < before / 2
