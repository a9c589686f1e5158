"""Selects the device and dtype for BiRefNet, and classifies PyTorch's device errors."""

import logging

import torch

from shared.errors import WorkerStartFailed

# Error texts in PyTorch's source. Only CUDA's caching allocator raises an error class of its own.
OUT_OF_MEMORY_TEXTS = (
    "can't allocate memory",
    "not enough memory",
    "MPS backend out of memory",
    "STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
)
log = logging.getLogger("worker.birefnet")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(
    device: str, dtype: str, *, trust_remote_code: bool = False
) -> tuple[torch.device, torch.dtype]:
    """Return the device and dtype for these settings, each "auto" or a name.

    A device of auto is the first CUDA device that works, else MPS, else the CPU; a dtype of auto is bfloat16
    if the hardware supports it natively, else float16 on CUDA, else float32. The hub's code
    (`trust_remote_code`) uses torchvision's operators, which do not support bfloat16.
    Raises WorkerStartFailed for a device that is missing or does not work, and for an unsupported dtype.
    """
    chosen = torch.device(_best_device() if device == "auto" else device)
    counts = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if (chosen.index or 0) >= counts.get(chosen.type, 1):
        raise WorkerStartFailed(
            f"PyTorch cannot use the device {device!r} on this machine: set BGREMOVE_DEVICE to auto or cpu."
        )
    error = _probe_device(chosen) if device != "auto" and chosen.type == "cuda" else None
    if error is not None:
        raise WorkerStartFailed(f"PyTorch cannot compute on the device {device!r}: {error}.")
    if trust_remote_code and dtype == "bfloat16":
        raise WorkerStartFailed("The transformers loader supports no bfloat16: set BGREMOVE_DTYPE to auto.")
    best = best_dtype(chosen.type, trust_remote_code=trust_remote_code)
    return chosen, best if dtype == "auto" else DTYPES[dtype]


def other_devices(device: torch.device) -> tuple[str, ...]:
    """Return the names of the machine's other devices of that kind, which are not probed.

    Probing one takes some 400 MB of its memory for as long as this process lives.
    """
    if device.type != "cuda":
        return ()
    own = device.index or 0
    return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()) if index != own)


def _best_device() -> str:
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        error = _probe_device(torch.device("cuda", index))
        if error is None:
            return f"cuda:{index}"
        log.warning("GPU probe failed", extra={"action": "use another device", "reason": error})
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _probe_device(device: torch.device) -> str | None:
    """Run a kernel on a present device; return the error, or None if it works.

    A PyTorch build lacks kernels for GPUs that its CUDA version no longer supports.
    """
    try:
        torch.ones(1, device=device).add_(1).item()
    except RuntimeError as error:
        # Out of memory is no reason to select another device: loading the model reports it.
        return None if is_out_of_memory(error) else str(error).partition("\n")[0].rstrip(".")
    return None


def best_dtype(device: str, *, trust_remote_code: bool = False) -> torch.dtype:
    """Return the fastest dtype on a kind of device that does not change the matte visibly."""
    if trust_remote_code:
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
    """Whether a PyTorch error means out of memory, on any device."""
    message = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(text in message for text in OUT_OF_MEMORY_TEXTS)


def is_device_context_valid() -> bool:
    """Whether this process can still use its GPU: some errors corrupt the CUDA context of the process."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True
