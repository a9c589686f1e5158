"""The ONNX engine: each network's input and output, its threads, and onnxruntime's errors translated."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from shared import cores
from shared.errors import WorkerStartFailed
from shared.messages import WorkerConfig
from shared.onnx_models import BIREFNET, ISNET, ISNET_ANIME, U2NET, OnnxNetwork
from worker.engines.onnx_engine import OnnxEngine
from worker.imaging import parallel

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
    """An inference session that records its inputs, and predicts the same for each."""

    def __init__(self, output: Any = 0) -> None:
        self.inputs: list[Any] = []
        self.output = output

    def run(self, _: Any, inputs: dict[Any, Any]) -> list[Any]:
        """Record the input."""
        self.inputs += inputs.values()
        return [np.full((1, 1, 320, 320), self.output, np.float32)]


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    """A configuration with an empty model file."""
    path = tmp_path / "u2netp.onnx"
    path.touch()
    return WorkerConfig("onnx", str(path), 1, "u2netp", input_size=(320, 320), network=U2NET)


def test_an_allocation_failure_during_a_removal_is_a_memory_error(
    monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """So that the client reads out_of_memory, and not that the image is at fault."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(MemoryError):
        OnnxEngine(config).predict_alpha(np.zeros((320, 320, 3), np.uint8), lambda _: None)


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
    with pytest.raises(kind) as raised:
        OnnxEngine(config)
    assert kind is MemoryError or "u2netp.onnx cannot be loaded" in str(raised.value)


def test_a_dark_photo_is_stretched_to_full_brightness(
    monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """As the network's authors do; else it finds less in a photo of the night. Black stays black."""
    session = Recording()
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: session)
    engine = OnnxEngine(config)
    bright = np.random.default_rng(0).integers(0, 6, (320, 320, 3), np.uint8) * 51
    for pixels in (bright, bright // 17, np.zeros_like(bright)):
        engine.predict_alpha(pixels, lambda _: None)
    whole, dark, black = session.inputs
    assert whole.shape == (1, 3, 320, 320)
    assert np.abs(whole[0, 2, 5, 7] * 0.225 + 0.406 - bright[5, 7, 2] / 255) < 1e-6
    assert np.allclose(dark, whole, atol=1e-5)
    assert np.isfinite(black).all()


@pytest.mark.parametrize(
    "network", [U2NET, ISNET, ISNET_ANIME, BIREFNET], ids=["u2net", "isnet", "anime", "b"]
)
def test_the_input_is_normalised_as_the_networks_authors_do(
    network: OnnxNetwork, monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """Each family was trained with a mean and a standard deviation of its own."""
    session = Recording()
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: session)
    engine = OnnxEngine(replace(config, network=network, input_size=(48, 32)))
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8))
    pixels = engine.preprocess(photo)
    assert pixels.shape == (32, 48, 3)
    engine.predict_alpha(pixels, lambda _: None)
    (seen,) = session.inputs
    assert (seen.shape, seen.dtype) == ((1, 3, 32, 48), np.float32)
    for channel in range(3):
        expected = (pixels[..., channel] / pixels.max() - network.mean[channel]) / network.std[channel]
        assert np.allclose(seen[0, channel], expected, atol=1e-5)


RAMP = np.linspace(0.2, 0.9, 320)  # a subject, as a network sees it that is not sure
NOISE = RAMP / 10  # no subject: every pixel is more likely background


@pytest.mark.parametrize(
    ("network", "output", "alpha"),
    [
        (U2NET, RAMP, RAMP),
        (U2NET, NOISE, NOISE),
        (U2NET, RAMP * 3 - 1, np.clip(RAMP * 3 - 1, 0, 1)),
        (ISNET, RAMP, (RAMP - 0.2) / 0.7),
        (ISNET, NOISE, NOISE),
        (ISNET, 0.7, 0.7),
        (BIREFNET, np.log(RAMP / (1 - RAMP)), RAMP),
        (BIREFNET, np.repeat([-200, 200], 160), np.repeat([0, 1], 160)),
    ],
    ids=[
        "raw",
        "raw, empty",
        "clipped",
        "min-max",
        "min-max, empty",
        "min-max, flat",
        "logits",
        "large logits",
    ],
)
def test_the_output_becomes_an_alpha_by_the_networks_rule(
    network: OnnxNetwork, output: Any, alpha: Any, monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """Min-max normalisation of a photo without a subject would make a matte of noise."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: Recording(output))
    engine = OnnxEngine(replace(config, network=network))
    shares: list[float] = []
    matte, info = engine.predict_alpha(np.zeros((320, 320, 3), np.uint8), shares.append)
    assert (matte.shape, matte.dtype.name) == ((320, 320), "uint8")
    assert np.abs(matte / 255.0 - alpha).max() < 0.5 / 255 + 1e-4
    assert shares == [1]
    assert (info.model_id, info.device) == ("u2netp", "cpu")


def test_a_worker_with_a_limit_computes_with_as_many_threads(
    monkeypatch: pytest.MonkeyPatch, config: WorkerConfig
) -> None:
    """Several workers on one CPU divide its cores."""
    threads: list[int] = []

    def open_session(_path: str, options: Any, **_: Any) -> Session:
        threads.append(options.intra_op_num_threads)
        return Session()

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    monkeypatch.setattr(cores, "CGROUP_CPU_MAX", Path("absent"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for limit in (3, 99, None):
        monkeypatch.setattr(parallel, "_core_limit", limit)
        OnnxEngine(config)
    assert threads == [3, 8, 8]
