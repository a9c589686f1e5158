"""The built-in model: U2-Net-p, run by onnxruntime on the CPU.

Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from shared.errors import WorkerStartFailed
from shared.messages import ModelInfo, WorkerConfig
from worker.engines import MEAN, STD, ProgressFn
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels
from worker.imaging.parallel import available_cores, resize

MODEL_ID = "u2netp"
INPUT_SIZE = 320
# Error texts of onnxruntime, and of the C++ libraries on Linux and Windows.
OUT_OF_MEMORY_TEXTS = ("Failed to allocate memory", "bad_alloc", "bad allocation")


class BuiltinEngine:
    """U2-Net-p, loaded from its ONNX file."""

    def __init__(self, config: WorkerConfig) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_cores()
        # Spinning threads would take a core from decoding, encoding and the supervisor.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                Path(config.model_path).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no other common base class
            _raise_if_out_of_memory(error)
            raise WorkerStartFailed("The built-in model's file cannot be loaded.") from error
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self.model_info = ModelInfo(MODEL_ID, "cpu", "float32")

    def preprocess(self, image: ModelInput, box: Box | None = None) -> Pixels:
        """Return an RGB image, or a box in it, as (320, 320, 3) uint8."""
        return resize(
            image, (INPUT_SIZE, INPUT_SIZE), Image.Resampling.LANCZOS, box and box.corners, reducing_gap=3.0
        )

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Return the alpha matte, (320, 320), without min-max normalisation."""
        try:
            (prediction,) = self._session.run([self._output], {self._input: _normalise(pixels)})
        except Exception as error:
            _raise_if_out_of_memory(error)
            raise
        on_progress(1)
        alpha: Pixels = np.rint(np.clip(prediction[0, 0], 0, 1) * 255).astype(np.uint8)
        return alpha, self.model_info


def _raise_if_out_of_memory(error: Exception) -> None:
    """Raise MemoryError for an error that means it, by its class or its text."""
    if isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY_TEXTS):
        raise MemoryError from error


def _normalise(pixels: Pixels) -> NDArray[np.float32]:
    """Return the network's input, (1, 3, 320, 320), normalised as its authors do."""
    normalised: NDArray[np.float32] = (pixels.astype(np.float32) / max(pixels.max(), 1) - MEAN) / STD
    return normalised.transpose(2, 0, 1)[np.newaxis]
