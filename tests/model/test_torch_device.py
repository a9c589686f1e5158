"""Which device is taken where PyTorch sees a GPU that it has no kernels for; the GPU is a stub."""

import pytest
import torch

from shared.errors import WorkerStartFailed
from worker.engines.torch_device import choose

NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might"


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pretend that there is a GPU, on which nothing can be computed."""

    def no_kernel(*_: object, **__: object) -> None:
        raise RuntimeError(NO_KERNEL)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch, "ones", no_kernel)
    return monkeypatch


@pytest.mark.usefixtures("old_gpu")
def test_a_gpu_that_pytorch_has_no_kernels_for_is_left_unused() -> None:
    """CUDA 13 gave up the GTX 10 series: every removal would fail, on machines whose CPU can do it."""
    device, dtype = choose("auto", "float32")
    assert (device.type, dtype) == ("cpu", torch.float32)


@pytest.mark.usefixtures("old_gpu")
def test_one_that_is_asked_for_by_name_is_refused_with_the_reason() -> None:
    """Whoever insists on the GPU must learn at the load why it is not to be had, not photo by photo."""
    with pytest.raises(WorkerStartFailed) as refused:
        choose("cuda", "float16")
    assert refused.value.detail.endswith("no kernel image is available for execution on the device.")


def test_a_gpu_whose_memory_is_taken_is_still_the_one(old_gpu: pytest.MonkeyPatch) -> None:
    """A game that runs for an hour is no reason to compute on the CPU, slowly and silently, from then on."""

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    old_gpu.setattr(torch, "ones", full)
    assert choose("auto", "auto")[0].type == "cuda"
