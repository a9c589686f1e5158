"""CPU fallback of the BiRefNet engine when the device is out of memory.

PyTorch's meta device stands for a device with too little memory.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from shared.errors import OutOfMemory
from shared.messages import RemovalJob, RemovalResult, WorkerConfig
from shared.options import RemovalOptions
from tests.photos import encoded, opened
from worker import pipeline
from worker.engines import LoadProgressFn
from worker.engines.birefnet_engine import BirefnetEngine

MAX_DEVICE_PIXELS = 64 * 64
LARGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))
SMALL = LARGE.resize((64, 32))


class Bright(nn.Module):
    """A network whose logit is the brightness; out of memory on the device for a large image."""

    bias: Tensor

    def __init__(self, *, cpu_has_memory: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor((1.3, 2.1, 0.7)))
        self.register_buffer("bias", torch.tensor(0.3))
        self.cpu_has_memory = cpu_has_memory

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, 1, H, W)."""
        height, width = image.shape[2:]
        if image.device.type == "cpu":
            if not self.cpu_has_memory:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate a lot")
            assert self.weight.dtype == image.dtype
            return torch.einsum("bchw,c->bhw", image, self.weight)[:, None] + self.bias
        if height * width > MAX_DEVICE_PIXELS:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return torch.zeros(1, 1, height, width)  # the meta device computes nothing


def engine(network: Bright, device: str, dtype: str, *, cpu_fallback: bool) -> BirefnetEngine:
    """Return an engine for `network` on a device."""
    config = WorkerConfig(
        "native",
        "",
        10**9,
        model_id="owner/name",
        device=device,
        dtype=dtype,
        input_size=range(32, 161, 32),
        cpu_fallback=cpu_fallback,
    )

    def load(
        _path: Path, on: torch.device, precision: torch.dtype, _on_progress: LoadProgressFn
    ) -> nn.Module:
        return network.to(precision) if on.type == "cpu" else network  # the meta device stores no weights

    return BirefnetEngine(config, load, lambda _percent, _message: None)


def remove(photo: Image.Image, loaded: BirefnetEngine, folder: Path) -> tuple[RemovalResult, Image.Image]:
    """Run a removal; return its result and its mask."""
    source, result = folder / "source", folder / "result"
    source.write_bytes(encoded(photo))
    job = RemovalJob("task", str(source), str(result), RemovalOptions(output="mask"))
    removal = pipeline.remove(job, loaded, 10**9, lambda _percent, _message: None)
    return removal, opened(result.read_bytes())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("cpu_dtype", ["float32", "bfloat16"])
def test_an_image_too_large_for_the_device_falls_back_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, cpu_dtype: str
) -> None:
    """The result names the device and dtype that computed it; the next image uses the device again."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: cpu_dtype == "bfloat16")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    network = Bright()
    weight = network.weight.detach().clone()
    loaded = engine(network, "meta", dtype, cpu_fallback=True)
    _, expected = remove(LARGE, engine(Bright(), "cpu", "auto", cpu_fallback=False), tmp_path)
    for _ in range(2):
        removal, mask = remove(LARGE, loaded, tmp_path)
        assert removal.device == "cpu"
        assert np.array_equal(np.asarray(mask), np.asarray(expected))
        assert remove(SMALL, loaded, tmp_path)[0].device == "meta"
        dtypes = [
            loaded.predict_alpha(loaded.preprocess(image), lambda _: None)[1].dtype
            for image in (LARGE, SMALL)
        ]
        assert dtypes == [cpu_dtype, dtype]
    assert torch.equal(network.weight, weight), "the fallback must not change the weights"


def test_without_the_setting_there_is_no_fallback(tmp_path: Path) -> None:
    """A pass may take minutes on a CPU."""
    loaded = engine(Bright(), "meta", "float32", cpu_fallback=False)
    with pytest.raises(OutOfMemory):
        remove(LARGE, loaded, tmp_path)
    assert remove(SMALL, loaded, tmp_path)[0].device == "meta"


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_an_image_too_large_for_the_cpu_too_is_out_of_memory(tmp_path: Path, device: str) -> None:
    """The next image is unaffected."""
    network = Bright(cpu_has_memory=False)
    loaded = engine(network, device, "float32", cpu_fallback=True)
    with pytest.raises(OutOfMemory) as caught:
        remove(LARGE, loaded, tmp_path)
    assert caught.value.code == "out_of_memory"
    network.cpu_has_memory = True
    assert remove(LARGE, loaded, tmp_path)[0].device == "cpu"


def test_another_error_on_the_cpu_is_not_out_of_memory(tmp_path: Path) -> None:
    """A bug must stay visible."""
    network = Bright()
    network.bias = torch.zeros(7)  # of a wrong shape
    with pytest.raises(RuntimeError, match="size of tensor"):
        remove(LARGE, engine(network, "meta", "float32", cpu_fallback=True), tmp_path)
