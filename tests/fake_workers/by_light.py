"""The real worker with a fake engine whose alpha matte is the image's luma."""

import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from shared.messages import ModelInfo, WorkerConfig
from tests.fake_workers.talk import MODEL
from worker import main
from worker.engines import DeviceContextLost, ProgressFn, loaders
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels
from worker.imaging.parallel import resize


class Light:
    """An engine whose matte is the luma of its input, at full size."""

    model_info = MODEL

    def preprocess(self, image: ModelInput, box: Box | None = None) -> Pixels:
        """Return the image, or a box in it, at its own size."""
        size = image.size if box is None else (box.width, box.height)
        return resize(image, size, Image.Resampling.NEAREST, box and box.corners)

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Return the image's luma (ITU-R BT.601)."""
        on_progress(1)
        return np.asarray(Image.fromarray(pixels).convert("L")), self.model_info


class Fragile(Light):
    """An engine whose CUDA context is lost at the first image, and valid again in the next process."""

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Fail once, and leave a marker file."""
        marker = Path(os.environ["LOST_NOTE"])
        if not marker.exists():
            marker.touch()
            raise DeviceContextLost("CUDA error: unspecified launch failure")
        return super().predict_alpha(pixels, on_progress)


def serve_losing_the_device(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Entry point of a worker whose CUDA context is lost once."""
    with mock.patch.object(loaders, "load", return_value=Fragile()):
        main.serve(commands, events, config)


def serve(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Entry point, as `worker.main:serve` is."""
    with mock.patch.object(loaders, "load", return_value=Light()):
        main.serve(commands, events, config)
