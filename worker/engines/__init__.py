"""Engines: a loaded model each, that tells a subject's pixels from the background's."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from PIL import Image

from shared.messages import ModelInfo
from worker.imaging.geometry import Box, Pixels

# Told how much of the load is done, 0 to 100, and what is being done.
OnLoading = Callable[[float, str], None]
# Told how much of a step is done, 0 to 1; may raise to stop it.
Step = Callable[[float], None]

MEAN = np.array((0.485, 0.456, 0.406), dtype=np.float32)  # ImageNet's, for colours 0..1
STD = np.array((0.229, 0.224, 0.225), dtype=np.float32)


class DeviceLost(RuntimeError):
    """The device answers no more, and will answer no other call of this process either. Says what it said."""


class Engine(Protocol):
    """A loaded model. Its facts' device and dtype are those that the last photo was computed with."""

    model_info: ModelInfo

    def pixels(self, photo: Image.Image, box: Box | None = None) -> Pixels:
        """Return the RGB photo, or a box in it, as (H, W, 3) at the size that the network looks at.

        Any number of threads may ask at once, while another one waits for `alpha`.
        """

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Return the subject's alpha, (H, W) of such pixels, 0 clear to 255 opaque.

        Raises errors of `shared.errors`, DeviceLost, and whatever `step` raises.
        """
