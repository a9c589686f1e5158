"""Device selection for a GPU that PyTorch sees and cannot use; the GPU is a stub."""

import pytest
import torch

from shared.errors import WorkerStartFailed
from worker.engines.torch_device import choose_device, other_devices

NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might"


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU on which every kernel fails."""

    def no_kernel(*_: object, **__: object) -> None:
        raise RuntimeError(NO_KERNEL)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch, "ones", no_kernel)
    return monkeypatch


@pytest.mark.usefixtures("old_gpu")
def test_auto_falls_back_to_the_cpu_for_an_unsupported_gpu() -> None:
    """CUDA 13 dropped the GTX 10 series: every removal would fail."""
    device, dtype = choose_device("auto", "float32")
    assert (device.type, dtype) == ("cpu", torch.float32)


@pytest.mark.usefixtures("old_gpu")
def test_an_unsupported_gpu_configured_by_name_is_an_error_at_load() -> None:
    """With PyTorch's reason, and not later for every image."""
    with pytest.raises(WorkerStartFailed) as caught:
        choose_device("cuda", "float16")
    assert caught.value.detail.endswith("no kernel image is available for execution on the device.")


def test_auto_selects_a_gpu_without_free_memory(old_gpu: pytest.MonkeyPatch) -> None:
    """Memory shortage is temporary; falling back would be slow and silent."""

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    old_gpu.setattr(torch, "ones", full)
    assert choose_device("auto", "auto")[0].type == "cuda"


def test_auto_selects_the_first_gpu_that_works(old_gpu: pytest.MonkeyPatch) -> None:
    """Of several; the others get workers of their own, which find out whether they work."""

    def compute(*_: object, device: torch.device) -> torch.Tensor:
        if device.index == 0:
            raise RuntimeError(NO_KERNEL)
        return torch.zeros(1)

    old_gpu.setattr(torch.cuda, "device_count", lambda: 3)
    old_gpu.setattr(torch, "ones", compute)
    chosen = choose_device("auto", "float32")[0]
    assert chosen == torch.device("cuda:1")
    assert other_devices(chosen) == ("cuda:0", "cuda:2")
    assert other_devices(torch.device("cpu")) == ()
