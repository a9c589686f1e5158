"""The real worker, but for its network: the lighter a photo's pixel, the more it is the subject's."""

import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from shared.messages import WorkerConfig
from tests.fake_workers.talk import MODEL
from worker import main
from worker.engines import DeviceLost, Step, loaders
from worker.imaging.geometry import Box, Pixels


class Light:
    """An engine that takes no time and whose alpha shows every pixel that it was given."""

    model_info = MODEL

    def pixels(self, photo: Image.Image, box: Box | None = None) -> Pixels:
        """Return all of them."""
        return np.asarray(photo.crop(box and box.corners))

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Return the photo's luma (ITU-R BT.601)."""
        step(1)
        return np.asarray(Image.fromarray(pixels).convert("L"))


class Fragile(Light):
    """An engine whose device is lost at the first photo of all, and there again in another process."""

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Lose the device, and leave a note of that."""
        note = Path(os.environ["LOST_NOTE"])
        if not note.exists():
            note.touch()
            raise DeviceLost("CUDA error: unspecified launch failure")
        return super().alpha(pixels, step)


def serve_losing_the_device(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Entry point of one that loses its device once."""
    with mock.patch.object(loaders, "load", return_value=Fragile()):
        main.serve(commands, events, config)


def serve(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Entry point, as `worker.main:serve` is."""
    with mock.patch.object(loaders, "load", return_value=Light()):
        main.serve(commands, events, config)
