"""The one thread that a model lives on: libraries keep pools and handles per thread, and photos queue."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from PIL import Image

from shared.messages import ModelInfo
from worker.engines import Engine, Step
from worker.imaging.geometry import Box, Pixels

CHECK_EVERY_S = 0.1


class InferenceThread:
    """Loads an engine on a thread, and lets removals on other threads use it there, first in, first out."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "model")
        self._engine: Engine | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    def load(self, load: Callable[[], Engine]) -> None:
        """Have the thread load the engine, and wait. Raises what `load` does."""
        self._engine = self._thread.submit(load).result()

    @property
    def model_info(self) -> ModelInfo:
        """The loaded engine's."""
        return self._loaded.model_info

    @property
    def _loaded(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("no engine is loaded yet")
        return self._engine

    def engine(self, check: Callable[[], None]) -> "EngineProxy":
        """Return the engine for one removal; while it waits for its turn, `check` may raise to give up."""
        return EngineProxy(self._thread, self._loaded, check, self._loaded.model_info)


@dataclass(slots=True)
class EngineProxy:
    """An engine that other removals use too. `facts` are those of this removal's own photo."""

    thread: ThreadPoolExecutor
    shared: Engine
    check: Callable[[], None]
    model_info: ModelInfo
    waited_ms: float = 0

    def pixels(self, photo: Image.Image, box: Box | None = None) -> Pixels:
        """Return what the network shall look at, made on the caller's thread, not the model's."""
        return self.shared.pixels(photo, box)

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Return the subject's alpha, as any engine; `step` is first called, with 0, when its turn comes."""

        asked = time.perf_counter()

        def look() -> Pixels:
            self.waited_ms += (time.perf_counter() - asked) * 1000
            step(0)
            alpha = self.shared.alpha(pixels, step)
            self.model_info = self.shared.model_info
            return alpha

        looking: Future[Pixels] = self.thread.submit(look)
        while not wait([looking], CHECK_EVERY_S).done:
            self._give_up_if_told(looking)
        return looking.result()

    def timed(self, timings_ms: dict[str, float]) -> dict[str, float]:
        """Return a removal's times with what it waited for other photos told apart from its inference."""
        waited = {"queued": self.waited_ms, "inference": timings_ms["inference"] - self.waited_ms}
        return timings_ms | {name: round(value, 1) for name, value in waited.items()}

    def _give_up_if_told(self, looking: "Future[Pixels]") -> None:
        if looking.running():
            return  # it is told by its own steps
        try:
            self.check()
        except BaseException:
            looking.cancel()
            raise
