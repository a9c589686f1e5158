"""The real worker with its real model, which computes a photo's alpha once: tests use few photos, often."""

from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

from shared.messages import WorkerConfig
from worker import main
from worker.engines import Engine, OnLoading, Step, loaders
from worker.imaging.geometry import Pixels


class Remembering:
    """An engine in front of another one."""

    def __init__(self, engine: Engine) -> None:
        self.model_info = engine.model_info
        self.pixels = engine.pixels
        self._engine = engine
        self._known: dict[tuple[tuple[int, ...], bytes], Pixels] = {}

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Return the other engine's alpha, from memory if it has seen the same pixels."""
        key = pixels.shape, pixels.tobytes()
        if key in self._known:
            step(1)
        else:
            self._known[key] = self._engine.alpha(pixels, step)
        return self._known[key].copy()


def serve(commands: Connection, events: Any, config: WorkerConfig) -> None:
    """Entry point, as `worker.main:serve` is."""
    with mock.patch.object(loaders, "load", partial(_load, loaders.load)):
        main.serve(commands, events, config)


def _load(
    load: Callable[[WorkerConfig, OnLoading], Engine], config: WorkerConfig, on_loading: OnLoading
) -> Remembering:
    return Remembering(load(config, on_loading))
