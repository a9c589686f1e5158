"""BiRefNet on an NVIDIA GPU: the same alphas as on a CPU, by kernels and graphs that only a GPU runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from make_checkpoint import write_plain
from shared.catalog import InputSize
from shared.messages import WorkerConfig
from worker.birefnet.fused import sampling
from worker.birefnet.fused.sampling import Shifts, by_embedding_bag, sampler
from worker.engines import native_loader
from worker.engines.birefnet_engine import BirefnetEngine
from worker.imaging.matting import matte

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
NOISE = np.random.default_rng(0).integers(0, 256, (3, 30, 40, 3), np.uint8)
PHOTOS = [Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC) for noise in NOISE]


def ignore(*_: object) -> None:
    """Follow nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seeded swin_v1_t."""
    path = tmp_path_factory.mktemp("model")
    write_plain(path, "swin_v1_t", "bfloat16")
    return path


def engine(folder: Path, device: str, dtype: str, size: InputSize = (256, 192)) -> BirefnetEngine:
    """Load the model on a device."""
    config = WorkerConfig("native", str(folder), 10**9, "owner/name", device, dtype, size)
    return BirefnetEngine(config, native_loader.load, ignore)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.04)])
def test_the_kernel_samples_what_embedding_bag_does(dtype: torch.dtype, tolerance: float) -> None:
    """A slip at a border or a stride would show as specks in every mask."""
    generator = torch.Generator("cuda").manual_seed(0)
    height, width = 37, 53

    def noise(channels: int) -> torch.Tensor:
        return torch.randn(height, width, channels, device="cuda", generator=generator).to(dtype)

    pixels = noise(64)
    branches = [Shifts(kernel, 6 * noise(-(-3 * kernel**2 // 8) * 8)) for kernel in (1, 3, 7)]
    ours, theirs = (make(pixels, branches)(5, 30).float() for make in (sampler, by_embedding_bag))
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < tolerance


def test_a_graph_is_recorded_without_triton_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows there is none; while a graph is recorded, nothing may be copied to the device."""
    monkeypatch.setattr(sampling, "_kernel", lambda: None)
    fast = engine(folder, "cuda", "bfloat16")
    assert fast._replayed is not None
    exact = engine(folder, "cpu", "float32")
    error = np.abs(matte(PHOTOS[0], exact, ignore).astype(int) - matte(PHOTOS[0], fast, ignore)) / 255
    assert error.max() < 0.02


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_every_photo_has_the_alpha_that_a_cpu_gives(folder: Path, dtype: str) -> None:
    """A replayed graph must see each new photo, and half precision must change no alpha visibly."""
    exact, fast = engine(folder, "cpu", "float32"), engine(folder, "cuda", dtype)
    assert fast.model_info.device_memory_bytes > 0
    for photo in PHOTOS:
        error = np.abs(matte(photo, exact, ignore).astype(int) - matte(photo, fast, ignore)) / 255
        assert error.max() < 0.02
        assert error.mean() < 0.002


def test_photos_of_any_size_are_taken_without_a_graph(folder: Path) -> None:
    """BiRefNet_dynamic has no fixed size to record."""
    sizes = range(256, 513, 32)
    exact, fast = engine(folder, "cpu", "float32", sizes), engine(folder, "cuda", "bfloat16", sizes)
    for photo in (PHOTOS[0], PHOTOS[1].rotate(90, expand=True)):
        error = np.abs(matte(photo, exact, ignore).astype(int) - matte(photo, fast, ignore)) / 255
        assert error.max() < 0.02
