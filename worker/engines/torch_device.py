"""Which device and precision BiRefNet computes with."""

import logging

import torch

from shared.errors import WorkerStartFailed

# CUDA's allocator has an error class of its own; the others, and CUDA beside it, have words, by the source of
# PyTorch.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "MPS backend out of memory",
    "STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
)
log = logging.getLogger("worker.birefnet")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose(device: str, dtype: str, *, by_hub_code: bool = False) -> tuple[torch.device, torch.dtype]:
    """Return the device and dtype for these settings, each "auto" or a name.

    auto is CUDA where it computes, then MPS, then the CPU; and bfloat16 where the hardware computes it
    natively, else float16 on CUDA, else float32. The code on the hub samples with torchvision, which does
    not know bfloat16.
    Raises WorkerStartFailed for a device that is not there or does not compute, and for a dtype that cannot
    be had.
    """
    chosen = torch.device(_best_device() if device == "auto" else device)
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if (chosen.index or 0) >= there.get(chosen.type, 1):
        raise WorkerStartFailed(f"The device {device!r} was asked for, and PyTorch cannot use it here.")
    fault = _fault(chosen) if device != "auto" and chosen.type == "cuda" else None
    if fault is not None:
        raise WorkerStartFailed(f"PyTorch cannot compute on the device {device!r}: {fault}.")
    if by_hub_code and dtype == "bfloat16":
        raise WorkerStartFailed("The transformers loader has no bfloat16: take float16, float32 or auto.")
    best = best_dtype(chosen.type, by_hub_code=by_hub_code)
    return chosen, best if dtype == "auto" else DTYPES[dtype]


def _best_device() -> str:
    if torch.cuda.is_available():
        fault = _fault(torch.device("cuda"))
        if fault is None:
            return "cuda"
        log.warning("the GPU is left unused", extra={"reason": fault})
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _fault(device: torch.device) -> str | None:
    """Return why PyTorch cannot compute on a device that is there, None where it can.

    A build has no kernels for GPUs that are older than its CUDA supports, and says so with the first one.
    """
    try:
        torch.ones(1, device=device).add_(1).item()
    except RuntimeError as error:
        # For want of memory the model is not to go elsewhere: its loading tells of it.
        return None if is_out_of_memory(error) else str(error).partition("\n")[0].rstrip(".")
    return None


def best_dtype(device: str, *, by_hub_code: bool = False) -> torch.dtype:
    """Return the fastest dtype that changes no alpha visibly on a kind of device."""
    if by_hub_code:
        return torch.float16 if device == "cuda" else torch.float32
    if device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    # Emulated bfloat16 is slower than float32.
    native = device == "cpu" and (
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
    )
    return torch.bfloat16 if native else torch.float32


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch has failed for want of memory, on whichever device."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def device_answers() -> bool:
    """Whether this process still reaches its GPU: after some errors it is lost to it, and to it alone."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True
