"""The BiRefNet engine: device selection, progress, cancellation and error translation."""

import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from make_checkpoint import write_plain
from shared.errors import Cancelled, OutOfMemory, WorkerStartFailed
from shared.messages import WorkerConfig
from worker.birefnet.fused import sampling
from worker.engines import DeviceContextLost, native_loader
from worker.engines.birefnet_engine import BirefnetEngine, NetworkLoader
from worker.engines.torch_device import choose_device
from worker.imaging.matting import compute_matte

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8))


def ignore(*_: object) -> None:
    """Do nothing."""


def engine(load: NetworkLoader, path: Path = Path()) -> BirefnetEngine:
    """Return an engine with a small input size, on the CPU."""
    return BirefnetEngine(
        WorkerConfig("native", str(path), 10**9, "owner/name", "cpu", "float32", (64, 96)), load, ignore
    )


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> BirefnetEngine:
    """An engine with a seeded swin_v1_t."""
    folder = tmp_path_factory.mktemp("model")
    write_plain(folder, "swin_v1_t", "bfloat16")
    return engine(native_loader.load, folder)


def failing(error: Exception) -> NetworkLoader:
    """Return a loader whose network raises an error."""

    class Network(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise error

    return lambda *_: Network()


def test_progress_rises_with_the_blocks_of_a_pass_to_its_end(loaded: BirefnetEngine) -> None:
    """The progress bar between 45 and 80 percent follows the network, not a timer."""
    shares: list[float] = []
    alpha = compute_matte(PHOTO, loaded, shares.append)[0]
    assert alpha.shape == (90, 130)
    assert shares == sorted(shares)
    assert len(shares) > 15  # the backbone's blocks, and the decoder's
    assert shares[0] > 0
    assert shares[-1] == pytest.approx(1)


def test_a_cancelled_pass_stops_and_the_next_one_is_unaffected(loaded: BirefnetEngine) -> None:
    """Cancelling must remove the progress hooks."""

    def cancel(share: float) -> None:
        if share > 0.3:
            raise Cancelled

    before = compute_matte(PHOTO, loaded, ignore)[0]
    with pytest.raises(Cancelled):
        compute_matte(PHOTO, loaded, cancel)[0]
    assert np.array_equal(compute_matte(PHOTO, loaded, ignore)[0], before)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        torch.AcceleratorError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_every_out_of_memory_error_of_pytorch_is_recognised(error: Exception) -> None:
    """By its class, or by its text."""
    with pytest.raises(OutOfMemory):
        compute_matte(PHOTO, engine(failing(error)), ignore)[0]


def test_a_lost_cuda_context_is_distinguished_from_a_failing_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a driver reset or a laptop's sleep, only a new process can use the GPU."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    lost = torch.AcceleratorError("CUDA error: unspecified launch failure\nSearch for it, or so.")
    monkeypatch.setattr(torch.cuda, "synchronize", Mock(side_effect=lost))
    with pytest.raises(DeviceContextLost, match=r"^CUDA error: unspecified launch failure$"):
        compute_matte(PHOTO, engine(failing(lost)), ignore)[0]
    monkeypatch.setattr(torch.cuda, "synchronize", Mock())
    with pytest.raises(torch.AcceleratorError):  # the context is still valid
        compute_matte(PHOTO, engine(failing(lost)), ignore)[0]


def test_other_errors_are_not_reported_as_out_of_memory() -> None:
    """A bug must stay visible."""
    with pytest.raises(RuntimeError, match="shapes"):
        compute_matte(PHOTO, engine(failing(RuntimeError("shapes do not match"))), ignore)[0]


def test_a_missing_device_is_an_error_with_its_name() -> None:
    """A silent fallback would make the service slow without a reason."""
    if not torch.cuda.is_available():
        with pytest.raises(WorkerStartFailed, match="cuda"):
            choose_device("cuda", "auto")


def test_a_missing_second_gpu_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, before PyTorch's own error."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", Mock())  # the probe is tested in test_torch_device
    with pytest.raises(WorkerStartFailed, match="cuda:1"):
        choose_device("cuda:1", "float16")
    assert choose_device("cuda:0", "float16") == (torch.device("cuda:0"), torch.float16)


@pytest.mark.parametrize(("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_configured_dtype_is_used(name: str, dtype: torch.dtype) -> None:
    """Also `float32` on hardware with bfloat16."""
    assert choose_device("cpu", name) == (torch.device("cpu"), dtype)


@pytest.mark.parametrize(
    ("amx", "avx512", "best"),
    [
        (False, False, torch.float32),
        (False, True, torch.bfloat16),
        (True, False, torch.bfloat16),
    ],
)
def test_the_automatic_dtype_is_native_to_the_hardware(
    monkeypatch: pytest.MonkeyPatch, *, amx: bool, avx512: bool, best: torch.dtype
) -> None:
    """Emulated bfloat16 is slower than float32."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert choose_device("cpu", "auto") == (torch.device("cpu"), best)


def test_remote_code_never_gets_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's deformable convolution does not support it: every image would fail."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", Mock())  # the probe is tested in test_torch_device
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose_device("cpu", "auto")[1] is torch.bfloat16
    assert choose_device("cpu", "auto", trust_remote_code=True)[1] is torch.float32
    assert choose_device("cuda", "auto", trust_remote_code=True)[1] is torch.float16
    with pytest.raises(WorkerStartFailed, match="bfloat16"):
        choose_device("cpu", "bfloat16", trust_remote_code=True)


def test_without_a_working_triton_the_pytorch_fallback_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Triton needs a C compiler, which slim images and many desktops lack."""
    triton_sampling = ModuleType("worker.birefnet.fused.triton_sampling")
    triton_sampling.check_kernel = Mock(side_effect=RuntimeError("Failed to find C compiler."))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, triton_sampling.__name__, triton_sampling)
    sampling._load_triton_backend.cache_clear()
    assert sampling._load_triton_backend() is None
    assert sampling._load_triton_backend() is None
    assert triton_sampling.check_kernel.call_count == 1
    assert "Failed to find C compiler" in caplog.text
    sampling._load_triton_backend.cache_clear()


class BrightIsSubject(nn.Module):
    """A network whose logit is the brightness."""

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, 1, H, W)."""
        return image.mean(1, keepdim=True) * 8


def test_high_detail_refines_a_small_subjects_outline() -> None:
    """In the first pass it has only a few pixels of the network's input."""
    rows, columns = np.mgrid[:960, :640]
    disc = (rows - 300) ** 2 + (columns - 400) ** 2 < 40**2
    photo = Image.fromarray(np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, 2))
    bright_engine = engine(lambda *_: BrightIsSubject())
    error = {
        detail: np.abs(compute_matte(photo, bright_engine, ignore, detail)[0].astype(int) - 255 * disc).mean()
        for detail in ("standard", "high")
    }
    assert error["high"] < error["standard"] / 3
