"""The built-in model: U2-Net-p by onnxruntime on the CPU.

Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from shared.errors import WorkerStartFailed
from shared.messages import ModelInfo, WorkerConfig
from worker.engines import MEAN, STD, Step
from worker.imaging.geometry import Box, Pixels
from worker.imaging.parallel import available_cores, resized

MODEL_ID = "u2netp"
INPUT_SIZE = 320
# In the words of onnxruntime, and of the C++ libraries on Linux and Windows.
OUT_OF_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation")


class BuiltinEngine:
    """U2-Net-p, loaded from its ONNX file."""

    def __init__(self, config: WorkerConfig) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_cores()
        # Spinning threads would take the other core from decoding, encoding and the supervisor.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                Path(config.model_path).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own errors have no other class in common
            _check_memory(error)
            raise WorkerStartFailed("The built-in model's file cannot be loaded.") from error
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self.model_info = ModelInfo(MODEL_ID, "cpu", "float32")

    def pixels(self, photo: Image.Image, box: Box | None = None) -> Pixels:
        """Return the RGB photo, or a box in it, as (320, 320, 3)."""
        return resized(photo, (INPUT_SIZE, INPUT_SIZE), Image.Resampling.LANCZOS, box, reducing_gap=3.0)

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Return the subject's alpha, (320, 320), 0 clear to 255 opaque: as it comes, not stretched."""
        try:
            (prediction,) = self._session.run([self._output], {self._input: _normalised(pixels)})
        except Exception as error:
            _check_memory(error)
            raise
        step(1)
        alpha: Pixels = np.rint(np.clip(prediction[0, 0], 0, 1) * 255).astype(np.uint8)
        return alpha


def _check_memory(error: Exception) -> None:
    """Raise MemoryError where an error is one, or is onnxruntime's word for it."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        raise MemoryError from error


def _normalised(pixels: Pixels) -> NDArray[np.float32]:
    """Return the network's (1, 3, 320, 320) input, as its authors normalise it."""
    normalised: NDArray[np.float32] = (pixels.astype(np.float32) / max(pixels.max(), 1) - MEAN) / STD
    return normalised.transpose(2, 0, 1)[np.newaxis]
