"""A device too small for a photo: what is tried on the CPU, and what is told.

PyTorch's meta device, which has no memory at all, stands for one that has too little.
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
from worker.engines import OnLoading
from worker.engines.birefnet_engine import BirefnetEngine

ROOM = 64 * 64  # pixels
LARGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))
SMALL = LARGE.resize((64, 32))


class Bright(nn.Module):
    """Calls bright pixels the subject, where its memory suffices: on the CPU, or for a small photo."""

    bias: Tensor

    def __init__(self, *, cpu_has_room: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor((1.3, 2.1, 0.7)))
        self.register_buffer("bias", torch.tensor(0.3))
        self.cpu_has_room = cpu_has_room

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, 1, H, W)."""
        height, width = image.shape[2:]
        if image.device.type == "cpu":
            if not self.cpu_has_room:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate a lot")
            assert self.weight.dtype == image.dtype
            return torch.einsum("bchw,c->bhw", image, self.weight)[:, None] + self.bias
        if height * width > ROOM:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return torch.zeros(1, 1, height, width)  # the meta device can compute nothing


def engine(network: Bright, device: str, dtype: str, *, cpu_fallback: bool) -> BirefnetEngine:
    """Load `network` into an engine that believes it to be on `device`."""
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

    def load(_path: Path, where: torch.device, precision: torch.dtype, _told: OnLoading) -> nn.Module:
        return network.to(precision) if where.type == "cpu" else network  # the meta device keeps no weights

    return BirefnetEngine(config, load, lambda _percent, _message: None)


def remove(photo: Image.Image, loaded: BirefnetEngine, folder: Path) -> tuple[RemovalResult, Image.Image]:
    """Do a whole removal; return what it tells and the mask that it makes."""
    source, result = folder / "source", folder / "result"
    source.write_bytes(encoded(photo))
    job = RemovalJob("task", str(source), str(result), RemovalOptions(output="mask"))
    told = pipeline.remove(job, loaded, 10**9, lambda _percent, _message: None)
    return told, opened(result.read_bytes())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("on_cpu", ["float32", "bfloat16"])
def test_a_photo_too_large_for_the_device_is_done_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, on_cpu: str
) -> None:
    """The result is the CPU's own, says so, and the device is used again for the next photo."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: on_cpu == "bfloat16")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    network = Bright()
    weight = network.weight.detach().clone()
    loaded = engine(network, "meta", dtype, cpu_fallback=True)
    _, expected = remove(LARGE, engine(Bright(), "cpu", "auto", cpu_fallback=False), tmp_path)
    for _ in range(2):
        told, mask = remove(LARGE, loaded, tmp_path)
        assert told.device == "cpu"
        assert loaded.model_info.dtype == on_cpu
        assert np.array_equal(np.asarray(mask), np.asarray(expected))
        assert remove(SMALL, loaded, tmp_path)[0].device == "meta"
        assert loaded.model_info.dtype == dtype
    assert torch.equal(network.weight, weight), "no try may wear the weights off"


def test_without_the_setting_the_photo_fails_at_once(tmp_path: Path) -> None:
    """Minutes on a CPU are nothing that an operator may be given unasked."""
    loaded = engine(Bright(), "meta", "float32", cpu_fallback=False)
    with pytest.raises(OutOfMemory):
        remove(LARGE, loaded, tmp_path)
    assert remove(SMALL, loaded, tmp_path)[0].device == "meta"


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_photo_too_large_for_the_cpu_as_well_fails_as_such(tmp_path: Path, device: str) -> None:
    """The client reads that memory was short; the next photo is done as ever."""
    network = Bright(cpu_has_room=False)
    loaded = engine(network, device, "float32", cpu_fallback=True)
    with pytest.raises(OutOfMemory) as caught:
        remove(LARGE, loaded, tmp_path)
    assert caught.value.code == "out_of_memory"
    network.cpu_has_room = True
    assert remove(LARGE, loaded, tmp_path)[0].device == "cpu"


def test_a_fault_on_the_cpu_is_not_taken_for_want_of_memory(tmp_path: Path) -> None:
    """A fault must be found, not explained away."""
    network = Bright()
    network.bias = torch.zeros(7)  # fits nothing
    with pytest.raises(RuntimeError, match="size of tensor"):
        remove(LARGE, engine(network, "meta", "float32", cpu_fallback=True), tmp_path)
