"""What the built-in model's engine makes of onnxruntime's errors."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from shared.errors import WorkerStartFailed
from shared.messages import WorkerConfig
from worker.engines.builtin_engine import BuiltinEngine

SHORT = "bfc_arena.cc:360 AllocateRawInternal Failed to allocate memory for requested buffer of size 52428800"


class Fail(Exception):
    """What onnxruntime raises: nothing but an exception, in a module of its own."""


class Session:
    """A network that fails in every run."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def get_inputs(self) -> list[Any]:
        """Return something with a name."""
        return [Path("in")]

    get_outputs = get_inputs

    def run(self, *_: Any) -> list[Any]:
        """Fail as onnxruntime does."""
        raise Fail(SHORT)


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    """A model's file, whatever is in it."""
    path = tmp_path / "u2netp.onnx"
    path.touch()
    return WorkerConfig("builtin", str(path), 1)


def test_a_removal_without_memory_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """It was said that the photo could not be processed: nobody closed another program and tried again."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(MemoryError):
        BuiltinEngine(config).alpha(np.zeros((320, 320, 3), np.uint8), lambda _: None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Fail("std::bad_alloc"), MemoryError), (MemoryError(), MemoryError), (Fail("torn"), WorkerStartFailed)],
    ids=repr,
)
def test_a_load_without_memory_is_told_from_a_broken_file(
    error: Exception, kind: type[Exception], monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """The model's file would be fetched again in vain."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(kind):
        BuiltinEngine(config)
