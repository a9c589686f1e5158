"""Salient-object networks in ONNX files, run by onnxruntime on the CPU.

The built-in model is one of them: U2-Net-p. `shared.onnx_models` describes each network's input and output.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from shared.catalog import fit_input_size
from shared.errors import WorkerStartFailed
from shared.messages import ModelInfo, WorkerConfig
from shared.onnx_models import OnnxNetwork
from worker.engines import ProgressFn
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels
from worker.imaging.parallel import available_cores, resize

# Error texts of onnxruntime, and of the C++ libraries on Linux and Windows.
OUT_OF_MEMORY_TEXTS = ("Failed to allocate memory", "bad_alloc", "bad allocation")
SUBJECT_RANGE = 0.5  # a matte of less contrast shows no subject: min-max normalisation would amplify noise

Floats = NDArray[np.float32]


class OnnxEngine:
    """A network loaded from its ONNX file."""

    def __init__(self, config: WorkerConfig) -> None:
        if config.network is None:
            raise ValueError("an ONNX file needs the description of its network")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_cores()
        # Spinning threads would take a core from decoding, encoding and the supervisor.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = Path(config.model_path)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no other common base class
            _raise_if_out_of_memory(error)
            raise WorkerStartFailed(
                f"The model's file {path.name} cannot be loaded: delete it and download it again."
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self._network = config.network
        self._input_size = config.input_size
        self.model_info = ModelInfo(config.model_id, "cpu", "float32")

    def preprocess(self, image: ModelInput, box: Box | None = None) -> Pixels:
        """Return an RGB image, or a box in it, at the network's input size: (H, W, 3) uint8."""
        size = image.size if box is None else (box.width, box.height)
        return resize(
            image,
            fit_input_size(self._input_size, size),
            Image.Resampling.LANCZOS,
            box and box.corners,
            reducing_gap=3.0,
        )

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Return the alpha matte, (H, W) of (H, W, 3) pixels."""
        try:
            (output,) = self._session.run([self._output], {self._input: _normalise(pixels, self._network)})
        except Exception as error:
            _raise_if_out_of_memory(error)
            raise
        on_progress(1)
        alpha: Pixels = np.rint(_to_alpha(output[0, 0], self._network) * 255).astype(np.uint8)
        return alpha, self.model_info


def _raise_if_out_of_memory(error: Exception) -> None:
    """Raise MemoryError for an error that means it, by its class or its text."""
    if isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY_TEXTS):
        raise MemoryError from error


def _normalise(pixels: Pixels, network: OnnxNetwork) -> Floats:
    """Return the network's input, (1, 3, H, W), normalised as its authors do."""
    mean, std = np.array(network.mean, np.float32), np.array(network.std, np.float32)
    normalised: Floats = (pixels.astype(np.float32) / max(pixels.max(), 1) - mean) / std
    return normalised.transpose(2, 0, 1)[np.newaxis]


def _to_alpha(output: Floats, network: OnnxNetwork) -> Floats:
    """Return the alpha, 0..1, of the network's output (H, W)."""
    alpha = (1 + np.tanh(output / 2)) / 2 if network.logits else output  # the sigmoid, without overflow
    least, most = alpha.min(), alpha.max()
    if network.min_max and most - least > SUBJECT_RANGE:
        alpha = (alpha - least) / (most - least)
    return np.clip(alpha, 0, 1)
