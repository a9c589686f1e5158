"""Engines: a loaded model each, that turns a photo into its alpha."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.messages import Ready
from shared.options import DetailChoice

# Told how much of the load is done, 0 to 100, and what is being done.
OnLoading = Callable[[float, str], None]
# Told how much of a step is done, 0 to 1; may raise to stop it.
Step = Callable[[float], None]

MEAN = np.array((0.485, 0.456, 0.406), dtype=np.float32)  # ImageNet's, for colours 0..1
STD = np.array((0.229, 0.224, 0.225), dtype=np.float32)


class Engine(Protocol):
    """A loaded model. Its facts' device and dtype are those that the last photo was computed with."""

    facts: Ready

    def alpha(self, photo: Image.Image, step: Step, detail: DetailChoice = "standard") -> NDArray[np.uint8]:
        """Return the subject's alpha, (H, W) of the RGB `photo`, 0 clear to 255 opaque.

        `detail` is the removal's option; a model that cannot look twice ignores it. Raises errors of
        `shared.errors`, and whatever `step` raises.
        """
