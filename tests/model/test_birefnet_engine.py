"""The engine around the network: devices, progress, memory."""

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
from worker.engines import DeviceLost, native_loader
from worker.engines.birefnet_engine import BirefnetEngine, Load
from worker.engines.torch_device import choose
from worker.imaging.matting import matte

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8))


def ignore(*_: object) -> None:
    """Follow nothing."""


def engine(load: Load, path: Path = Path()) -> BirefnetEngine:
    """Make an engine with a small input, on the CPU."""
    return BirefnetEngine(
        WorkerConfig("native", str(path), 10**9, "owner/name", "cpu", "float32", (64, 96)), load, ignore
    )


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> BirefnetEngine:
    """An engine with a seeded swin_v1_t."""
    folder = tmp_path_factory.mktemp("model")
    write_plain(folder, "swin_v1_t", "bfloat16")
    return engine(native_loader.load, folder)


def failing(error: Exception) -> Load:
    """Make a loader whose network cannot run."""

    class Network(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise error

    return lambda *_: Network()


def test_progress_rises_with_the_work_to_its_end(loaded: BirefnetEngine) -> None:
    """The bar between 45 and 80 percent is the network's own, not a timer's."""
    shares: list[float] = []
    alpha = matte(PHOTO, loaded, shares.append)
    assert alpha.shape == (90, 130)
    assert shares == sorted(shares)
    assert len(shares) > 15  # the backbone's blocks, and the decoder's
    assert shares[0] > 0
    assert shares[-1] == pytest.approx(1)


def test_a_cancelled_pass_stops_and_the_next_one_is_whole(loaded: BirefnetEngine) -> None:
    """Cancelling must not leave the network half watched."""

    def cancel(share: float) -> None:
        if share > 0.3:
            raise Cancelled

    before = matte(PHOTO, loaded, ignore)
    with pytest.raises(Cancelled):
        matte(PHOTO, loaded, cancel)
    assert np.array_equal(matte(PHOTO, loaded, ignore), before)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        torch.AcceleratorError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_photo_that_memory_has_no_room_for_is_told_as_such(error: Exception) -> None:
    """The user must read "memory", not a trace."""
    with pytest.raises(OutOfMemory):
        matte(PHOTO, engine(failing(error)), ignore)


def test_a_device_that_answers_no_more_is_told_from_a_photo_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a reset of the driver or a laptop's sleep, only another process gets an answer from it."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    lost = torch.AcceleratorError("CUDA error: unspecified launch failure\nSearch for it, or so.")
    monkeypatch.setattr(torch.cuda, "synchronize", Mock(side_effect=lost))
    with pytest.raises(DeviceLost, match=r"^CUDA error: unspecified launch failure$"):
        matte(PHOTO, engine(failing(lost)), ignore)
    monkeypatch.setattr(torch.cuda, "synchronize", Mock())
    with pytest.raises(torch.AcceleratorError):  # of this photo alone
        matte(PHOTO, engine(failing(lost)), ignore)


def test_other_faults_are_not_taken_for_want_of_memory() -> None:
    """A fault must be found, not explained away."""
    with pytest.raises(RuntimeError, match="shapes"):
        matte(PHOTO, engine(failing(RuntimeError("shapes do not match"))), ignore)


def test_a_device_that_is_not_there_is_refused_by_name() -> None:
    """Falling back in silence would make the service mysteriously slow."""
    if not torch.cuda.is_available():
        with pytest.raises(WorkerStartFailed, match="cuda"):
            choose("cuda", "auto")


def test_a_second_gpu_that_is_not_there_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch would say so in many lines, and late."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", Mock())  # whether that GPU computes is another test's
    with pytest.raises(WorkerStartFailed, match="cuda:1"):
        choose("cuda:1", "float16")
    assert choose("cuda:0", "float16") == (torch.device("cuda:0"), torch.float16)


@pytest.mark.parametrize(("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_a_precision_asked_for_is_the_one_that_is_used(name: str, dtype: torch.dtype) -> None:
    """`float32` is the exact one; whoever sets it means it."""
    assert choose("cpu", name) == (torch.device("cpu"), dtype)


def test_the_precision_chosen_by_itself_is_one_that_the_hardware_has() -> None:
    """Emulated bfloat16 would be slower than float32."""
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert choose("cpu", "auto")[1] == (torch.bfloat16 if native else torch.float32)


def test_the_hubs_code_is_never_given_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """It samples with torchvision, which has no bfloat16: each photo would fail."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", Mock())  # whether that GPU computes is another test's
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose("cpu", "auto")[1] is torch.bfloat16
    assert choose("cpu", "auto", by_hub_code=True)[1] is torch.float32
    assert choose("cuda", "auto", by_hub_code=True)[1] is torch.float16
    with pytest.raises(WorkerStartFailed, match="bfloat16"):
        choose("cpu", "bfloat16", by_hub_code=True)


def test_a_kernel_that_cannot_be_made_costs_speed_and_no_photo(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Triton wants a C compiler, which slim images and many desktops do not have."""
    triton_sampling = ModuleType("worker.birefnet.fused.triton_sampling")
    triton_sampling.try_out = Mock(side_effect=RuntimeError("Failed to find C compiler."))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, triton_sampling.__name__, triton_sampling)
    sampling._kernel.cache_clear()
    assert sampling._kernel() is None
    assert sampling._kernel() is None
    assert triton_sampling.try_out.call_count == 1
    assert "Failed to find C compiler" in caplog.text
    sampling._kernel.cache_clear()


class BrightIsSubject(nn.Module):
    """A network that takes what is bright for the subject."""

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, 1, H, W)."""
        return image.mean(1, keepdim=True) * 8


def test_high_detail_draws_a_small_subject_sharper() -> None:
    """A subject of a few network pixels has a blurred outline at first sight, and a true one at second."""
    rows, columns = np.mgrid[:960, :640]
    disc = (rows - 300) ** 2 + (columns - 400) ** 2 < 40**2
    photo = Image.fromarray(np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, 2))
    looking = engine(lambda *_: BrightIsSubject())
    error = {
        detail: np.abs(matte(photo, looking, ignore, detail).astype(int) - 255 * disc).mean()
        for detail in ("standard", "high")
    }
    assert error["high"] < error["standard"] / 3
