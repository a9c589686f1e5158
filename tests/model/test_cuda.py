"""BiRefNet on an NVIDIA GPU: the same mattes as on a CPU, through Triton kernels and CUDA graphs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from make_checkpoint import write_plain
from shared.catalog import InputSize
from shared.messages import WorkerConfig
from worker.birefnet.fused import sampling
from worker.birefnet.fused.sampling import TapOffsets, make_embedding_bag_sampler, make_sampler
from worker.engines import native_loader
from worker.engines.birefnet_engine import BirefnetEngine
from worker.imaging.matting import compute_matte

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
NOISE = np.random.default_rng(0).integers(0, 256, (3, 30, 40, 3), np.uint8)
PHOTOS = [Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC) for noise in NOISE]


def ignore(*_: object) -> None:
    """Do nothing."""


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


def matte_error(photo: Image.Image, exact: BirefnetEngine, fast: BirefnetEngine) -> NDArray[np.float64]:
    """Return the absolute difference of two engines' mattes, 0 to 1."""
    mattes = [compute_matte(photo, engine, ignore)[0].astype(np.float64) for engine in (exact, fast)]
    return np.abs(mattes[0] - mattes[1]) / 255


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.04)])
def test_the_triton_kernel_equals_the_pytorch_fallback(dtype: torch.dtype, tolerance: float) -> None:
    """An error at a border or in a stride would be specks in every mask."""
    generator = torch.Generator("cuda").manual_seed(0)
    height, width = 37, 53

    def noise(channels: int) -> torch.Tensor:
        return torch.randn(height, width, channels, device="cuda", generator=generator).to(dtype)

    pixels = noise(64)
    branches = [TapOffsets(kernel, 6 * noise(-(-3 * kernel**2 // 8) * 8)) for kernel in (1, 3, 7)]
    ours, theirs = (
        make(pixels, branches)(5, 30).float() for make in (make_sampler, make_embedding_bag_sampler)
    )
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < tolerance


def test_a_cuda_graph_is_captured_without_triton_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no Triton; and during a capture, nothing may be copied to the device."""
    monkeypatch.setattr(sampling, "_load_triton_backend", lambda: None)
    fast = engine(folder, "cuda", "bfloat16")
    assert fast._cuda_graph is not None
    exact = engine(folder, "cpu", "float32")
    error = matte_error(PHOTOS[0], exact, fast)
    assert error.max() < 0.02


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mattes_on_the_gpu_equal_those_on_the_cpu(folder: Path, dtype: str) -> None:
    """A replayed CUDA graph must use each new input, and half precision must not change mattes visibly."""
    exact, fast = engine(folder, "cpu", "float32"), engine(folder, "cuda", dtype)
    assert fast.model_info.device_memory_bytes > 0
    for photo in PHOTOS:
        error = matte_error(photo, exact, fast)
        assert error.max() < 0.02
        assert error.mean() < 0.002


def test_a_variable_input_size_runs_without_a_cuda_graph(folder: Path) -> None:
    """BiRefNet_dynamic has no fixed size to capture."""
    sizes = range(256, 513, 32)
    exact, fast = engine(folder, "cpu", "float32", sizes), engine(folder, "cuda", "bfloat16", sizes)
    for photo in (PHOTOS[0], PHOTOS[1].rotate(90, expand=True)):
        error = matte_error(photo, exact, fast)
        assert error.max() < 0.02
