"""Reads a model's tensors from its safetensors file, or those in its folder."""

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from shared.errors import ModelUnfit
from shared.hub_cache import select_weights

REPORT_EVERY = 50  # tensors


def read(path: Path, on_progress: Callable[[float], None]) -> dict[str, Tensor]:
    """Return all tensors of a folder or a file by name, memory-mapped, on the CPU.

    `on_progress` receives the share done, 0 to 1. Raises ModelUnfit.
    """
    state: dict[str, Tensor] = {}
    names = sorted(select_weights(each.name for each in path.iterdir())) if path.is_dir() else []
    files = [path / name for name in names] if path.is_dir() else [path]
    if not files:
        raise ModelUnfit("The model's folder has no safetensors file.")
    try:
        for number, file in enumerate(files):
            with safe_open(file, framework="pt") as tensors:  # memory-mapped
                names = list(tensors.keys())
                for position, name in enumerate(names):
                    if name in state:
                        raise ModelUnfit("Two files of the model hold the same tensors: keep one of them.")
                    state[name] = tensors.get_tensor(name)
                    if position % REPORT_EVERY == 0:
                        on_progress((number + position / len(names)) / len(files))
    except (SafetensorError, OSError) as error:
        raise ModelUnfit("The model's file is damaged; download it again.") from error
    return state
