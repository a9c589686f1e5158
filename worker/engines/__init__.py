"""One file per loader: each turns a photo into its alpha."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.messages import Ready, WorkerConfig


class Engine(Protocol):
    """A loaded model. Loading happens in the constructor and raises errors of `shared.errors`."""

    facts: Ready

    def __init__(self, config: WorkerConfig) -> None: ...

    def alpha(self, photo: Image.Image) -> NDArray[np.uint8]:
        """Return the subject's alpha, (H, W) of the RGB `photo`, 0 clear to 255 opaque."""
