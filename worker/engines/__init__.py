"""Engines: a loaded segmentation model behind one interface, `preprocess` and `predict_alpha`."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from shared.messages import ModelInfo
from shared.onnx_models import IMAGENET_MEAN, IMAGENET_STD
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels

# (percent, message): progress of a model's load, 0 to 100.
LoadProgressFn = Callable[[float, str], None]
# (name, others): the device that is selected, and the machine's other ones of that kind.
DeviceFn = Callable[[str, tuple[str, ...]], None]
# (share): progress of a forward pass, 0 to 1; may raise to cancel it.
ProgressFn = Callable[[float], None]

MEAN = np.array(IMAGENET_MEAN, dtype=np.float32)
STD = np.array(IMAGENET_STD, dtype=np.float32)


def ignore_device(_name: str, _others: tuple[str, ...]) -> None:
    """Do nothing: for a process that has one device."""


class DeviceContextLost(RuntimeError):
    """The CUDA context is unusable for the rest of the process. The message is CUDA's."""


class Engine(Protocol):
    """A loaded model."""

    @property
    def model_info(self) -> ModelInfo:
        """The model, and the device and dtype it is loaded with."""

    def preprocess(self, image: ModelInput, box: Box | None = None) -> Pixels:
        """Return an RGB image, or a box in it, resized to the model's input size: (H, W, 3) uint8.

        Thread-safe, also while another thread is in `predict_alpha`.
        """

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Return the alpha matte, (H, W) uint8, of preprocessed pixels, 0 transparent to 255 opaque.

        The ModelInfo holds the device and dtype that computed it. Raises errors of `shared.errors`,
        DeviceContextLost, and whatever `on_progress` raises.
        """
