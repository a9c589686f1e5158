"""The real worker, but for its network: the lighter a photo's pixel, the more it is the subject's."""

from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.messages import WorkerConfig
from shared.options import DetailChoice
from tests.fake_workers.talk import FACTS
from worker import main
from worker.engines import Step, loading


class Light:
    """An engine that takes no time and whose alpha shows every pixel that it was given."""

    facts = FACTS

    def alpha(self, photo: Image.Image, step: Step, _detail: DetailChoice = "standard") -> NDArray[np.uint8]:
        """Return the photo's luma (ITU-R BT.601)."""
        step(1)
        return np.asarray(photo.convert("L"))


def serve(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Entry point, as `worker.main:serve` is."""
    with mock.patch.object(loading, "load", return_value=Light()):
        main.serve(commands, events, config)
