"""Dedicated inference thread: loads the model and runs every forward pass, one image at a time.

Inference libraries keep thread pools and device handles per thread, so the model stays on one.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shared.messages import ModelInfo
from worker.engines import Engine, ProgressFn
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels

CANCEL_POLL_S = 0.1


class InferenceThread:
    """Owns the engine. Removals on other threads use it through proxies, first in, first out."""

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
        """Load the engine on the inference thread, and wait. Raises what `load` raises."""
        self._engine = self._thread.submit(load).result()

    @property
    def model_info(self) -> ModelInfo:
        """The loaded engine's model information."""
        return self._loaded.model_info

    @property
    def _loaded(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("no engine is loaded yet")
        return self._engine

    def create_proxy(self, check_cancelled: Callable[[], None]) -> "EngineProxy":
        """Return the engine for one removal; `check_cancelled` may raise while the removal waits."""
        return EngineProxy(self._thread, self._loaded, check_cancelled)


@dataclass(slots=True)
class EngineProxy:
    """An engine that runs on the inference thread, and measures how long one removal waited for it."""

    thread: ThreadPoolExecutor
    engine: Engine
    check_cancelled: Callable[[], None]
    waited_ms: float = 0

    @property
    def model_info(self) -> ModelInfo:
        """The loaded engine's model information."""
        return self.engine.model_info

    def preprocess(self, image: ModelInput, box: Box | None = None) -> Pixels:
        """Return the model's input, computed on the caller's thread."""
        return self.engine.preprocess(image, box)

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Run the engine on the inference thread; calls `on_progress(0)` when the wait is over."""
        submitted = time.perf_counter()

        def infer() -> tuple[Pixels, ModelInfo]:
            self.waited_ms += (time.perf_counter() - submitted) * 1000
            on_progress(0)
            return self.engine.predict_alpha(pixels, on_progress)

        prediction = self.thread.submit(infer)
        while not wait([prediction], CANCEL_POLL_S).done:
            self._cancel_if_requested(prediction)
        return prediction.result()

    def separate_queue_time(self, timings_ms: dict[str, float]) -> dict[str, float]:
        """Return a removal's timings with the wait for other removals taken out of `inference`."""
        separated = {"queued": self.waited_ms, "inference": timings_ms["inference"] - self.waited_ms}
        return timings_ms | {name: round(value, 1) for name, value in separated.items()}

    def _cancel_if_requested(self, prediction: "Future[tuple[Pixels, ModelInfo]]") -> None:
        if prediction.running():
            return  # its own `on_progress` checks for cancellation
        try:
            self.check_cancelled()
        except BaseException:
            prediction.cancel()
            raise
