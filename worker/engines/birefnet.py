"""BiRefNet as an engine, whichever loader made its network."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shared.errors import ModelUnfit, OutOfMemory
from shared.messages import Ready, WorkerConfig
from worker.birefnet import from_state_dict
from worker.birefnet.progress import watched
from worker.device import available_cores
from worker.engines import MEAN, STD, Step
from worker.matte import to_photo_size
from worker.torch_device import best_dtype, choose

log = logging.getLogger("worker.birefnet")

OnLoading = Callable[[float, str], None]
# Makes the network, which maps a normalised (B, 3, H, W) to logits (B, 1, H, W), on a device in a dtype.
Load = Callable[[Path, torch.device, torch.dtype, OnLoading], nn.Module]


class BirefnetEngine:
    """A BiRefNet in memory."""

    def __init__(self, config: WorkerConfig, loader: str, load: Load, on_loading: OnLoading) -> None:
        torch.set_num_threads(available_cores())
        self._config = config
        self._device, self._dtype = choose(config.device, config.dtype)
        try:
            self._network = load(Path(config.model_path), self._device, self._dtype, on_loading)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"There is not enough memory for the model on {self._device.type}.") from error
        precision = str(self._dtype).removeprefix("torch.")
        held_bytes = torch.cuda.memory_reserved() if self._device.type == "cuda" else 0
        self.facts = Ready(
            config.model_id, self._device.type, precision, loader, config.input_size, held_bytes
        )

    def alpha(self, photo: Image.Image, step: Step) -> NDArray[np.uint8]:
        """Return the subject's alpha, (H, W) of the RGB `photo`, 0 clear to 255 opaque.

        Raises OutOfMemory, on a device other than the CPU only after a try there where that is allowed.
        """
        pixels = network_input(photo, self._config.input_size)
        try:
            alpha = self._infer(pixels, step)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if self._device.type == "cpu" or not self._config.cpu_fallback:
                raise OutOfMemory from error
            alpha = self._infer_on_cpu(pixels, step)
        return to_photo_size(alpha, photo.size)

    def _infer(self, pixels: Tensor, step: Step) -> NDArray[np.float32]:
        network = self._network
        with torch.inference_mode(), watched(network, pixels.shape[2], pixels.shape[3], step):
            logits = network(pixels.to(self._device, self._dtype))
            alpha: NDArray[np.float32] = logits.float().sigmoid()[0, 0].cpu().numpy()
        return alpha

    def _infer_on_cpu(self, pixels: Tensor, step: Step) -> NDArray[np.float32]:
        log.warning("out of memory; trying on the CPU", extra={"device": self._device.type})
        home = self._device, self._dtype
        self._device, self._dtype = torch.device("cpu"), best_dtype("cpu")
        try:
            self._network.to(self._device, self._dtype)
            return self._infer(pixels, step)
        except RuntimeError as error:
            raise OutOfMemory from error
        finally:
            self._device, self._dtype = home
            self._network.to(*home)


def network_input(photo: Image.Image, size: tuple[int, int]) -> Tensor:
    """Return the RGB photo as the network wants it: (1, 3, H, W) float32 of `size` (width, height)."""
    small = photo.resize(size, Image.Resampling.BILINEAR)  # Pillow's is anti-aliased
    pixels = (np.asarray(small, dtype=np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def load_native(path: Path, device: torch.device, dtype: torch.dtype, on_loading: OnLoading) -> nn.Module:
    """Build the network from the safetensors files in a folder. Raises ModelUnfit."""
    state: dict[str, Tensor] = {}
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelUnfit("The model's folder has no safetensors file.")
    try:
        for number, file in enumerate(files):
            with safe_open(file, framework="pt") as tensors:  # mapped, not read
                names = list(tensors.keys())
                for position, name in enumerate(names):
                    state[name] = tensors.get_tensor(name)
                    if position % 50 == 0:
                        share = (number + position / len(names)) / len(files)
                        on_loading(20 + 60 * share, "Loading the model")
    except (SafetensorError, OSError) as error:
        raise ModelUnfit("The model's file is damaged; download it again.") from error
    on_loading(80, "Placing the model")
    network = from_state_dict(state, device=device, dtype=dtype)
    on_loading(100, "Model loaded")
    return network


def _is_out_of_memory(error: RuntimeError) -> bool:
    # The CPU's allocator has no error of its own.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
