"""The built-in engine's translation of onnxruntime errors."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from shared.errors import WorkerStartFailed
from shared.messages import WorkerConfig
from worker.engines.builtin_engine import BuiltinEngine

ALLOCATION_ERROR = "bfc_arena.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer"


class Fail(Exception):
    """Stands for onnxruntime's error, a direct subclass of Exception."""


class Session:
    """An inference session whose every run fails."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def get_inputs(self) -> list[Any]:
        """Return an object with a name."""
        return [Path("in")]

    get_outputs = get_inputs

    def run(self, *_: Any) -> list[Any]:
        """Fail as onnxruntime does without memory."""
        raise Fail(ALLOCATION_ERROR)


class Recording(Session):
    """An inference session that records its inputs and predicts no subject."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.inputs: list[Any] = []

    def run(self, _: Any, inputs: dict[Any, Any]) -> list[Any]:
        """Record the input."""
        self.inputs += inputs.values()
        return [np.zeros((1, 1, 320, 320), np.float32)]


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    """A configuration with an empty model file."""
    path = tmp_path / "u2netp.onnx"
    path.touch()
    return WorkerConfig("onnx", str(path), 1)


def test_an_allocation_failure_during_a_removal_is_a_memory_error(
    monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """So that the client reads out_of_memory, and not that the image is at fault."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(MemoryError):
        BuiltinEngine(config).predict_alpha(np.zeros((320, 320, 3), np.uint8), lambda _: None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Fail("std::bad_alloc"), MemoryError),
        (MemoryError(), MemoryError),
        (Fail("invalid"), WorkerStartFailed),
    ],
    ids=repr,
)
def test_a_load_without_memory_is_distinguished_from_a_damaged_file(
    error: Exception, kind: type[Exception], monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """Only a damaged file has to be downloaded again."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(kind):
        BuiltinEngine(config)


def test_a_dark_photo_is_stretched_to_full_brightness(
    monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """As the network's authors do; else it finds less in a photo of the night. Black stays black."""
    session = Recording()
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: session)
    engine = BuiltinEngine(config)
    bright = np.random.default_rng(0).integers(0, 6, (320, 320, 3), np.uint8) * 51
    for pixels in (bright, bright // 17, np.zeros_like(bright)):
        engine.predict_alpha(pixels, lambda _: None)
    whole, dark, black = session.inputs
    assert whole.shape == (1, 3, 320, 320)
    assert np.abs(whole[0, 2, 5, 7] * 0.225 + 0.406 - bright[5, 7, 2] / 255) < 1e-6
    assert np.allclose(dark, whole, atol=1e-5)
    assert np.isfinite(black).all()
