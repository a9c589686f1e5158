"""BiRefNet as an engine, whichever loader made its network."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.func import functional_call

from shared.catalog import fit_input_size
from shared.errors import OutOfMemory
from shared.messages import ModelInfo, WorkerConfig
from worker.birefnet.cuda_graph import CudaGraph
from worker.birefnet.progress_hooks import watched
from worker.engines import MEAN, STD, DeviceLost, OnLoading, Step
from worker.engines.torch_device import best_dtype, choose, device_answers, is_out_of_memory
from worker.imaging.geometry import Box, Pixels
from worker.imaging.parallel import available_cores, resized
from worker.malloc import keep_freed

log = logging.getLogger("worker.birefnet")

# Makes the network, which maps a normalised (B, 3, H, W) to logits (B, 1, H, W), on a device in a dtype.
Load = Callable[[Path, torch.device, torch.dtype, OnLoading], nn.Module]


class BirefnetEngine:
    """A BiRefNet in memory."""

    def __init__(self, config: WorkerConfig, load: Load, on_loading: OnLoading) -> None:
        keep_freed()
        torch.set_num_threads(available_cores())
        self._config = config
        by_hub_code = config.loader == "transformers"
        self._device, self._dtype = choose(config.device, config.dtype, by_hub_code=by_hub_code)
        if self._device.index is not None:
            # The current device is a thread's own, and this thread computes: CUDA graphs, Triton's kernels
            # and counts of memory go by it.
            torch.cuda.set_device(self._device)
        try:
            self._network = load(Path(config.model_path), self._device, self._dtype, on_loading)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise OutOfMemory(
                    f"There is not enough memory for the model on {self._device.type}."
                ) from error
            raise
        self._replayed = self._recorded()
        self._home_info = ModelInfo(
            model_id=config.model_id,
            device=self._device.type,
            dtype=_name(self._dtype),
            device_memory_bytes=torch.cuda.memory_reserved() if self._device.type == "cuda" else 0,
        )
        self.model_info = self._home_info

    def pixels(self, photo: Image.Image, box: Box | None = None) -> Pixels:
        """Return the RGB photo, or a box in it, as (H, W, 3) of the size that the network wants for it."""
        size = photo.size if box is None else (box.width, box.height)
        return resized(photo, fit_input_size(self._config.input_size, size), Image.Resampling.BILINEAR, box)

    def alpha(self, pixels: Pixels, step: Step) -> Pixels:
        """Return the subject's alpha, (H, W) of (H, W, 3) pixels, 0 clear to 255 opaque.

        Raises OutOfMemory, on a device other than the CPU only after a try there where that is allowed.
        """
        photo = torch.from_numpy(pixels)[None]
        self.model_info = self._home_info
        try:
            return self._infer(photo, step)
        except OutOfMemory:
            if self._device.type == "cpu" or not self._config.cpu_fallback:
                raise
        # Not in the handler: there, the error would keep alive what the failed pass has computed.
        return self._infer_on_cpu(photo, step)

    def _infer(self, photo: Tensor, step: Step) -> Pixels:
        """Return the alpha of (1, H, W, 3), computed where the network is. Raises OutOfMemory."""
        if self._replayed is not None and photo.shape == self._replayed.shape:
            with _device_errors(), torch.inference_mode():
                alpha = _numpy(self._replayed(photo.pin_memory()))
            step(1)
            return alpha
        with _device_errors(), torch.inference_mode(), watched(self._network, step):
            return _numpy(self._prediction(photo.to(self._device)))

    def _prediction(self, pixels: Tensor) -> Tensor:
        return _alpha(self._network(normalised(pixels, self._dtype)))

    def _recorded(self) -> CudaGraph | None:
        """Return the network as a CUDA graph, where its input has one size and there is room for it."""
        size = self._config.input_size
        if self._device.type != "cuda" or not isinstance(size, tuple) or self._config.loader != "native":
            return None
        example = torch.zeros((1, size[1], size[0], 3), dtype=torch.uint8, device=self._device)
        try:
            return CudaGraph(self._prediction, example)
        except RuntimeError:  # for want of memory, or of a kernel that can be recorded
            log.warning("no CUDA graph can be recorded; removals take longer", exc_info=True)
            return None

    def _infer_on_cpu(self, photo: Tensor, step: Step) -> Pixels:
        """Do the same on the CPU, with a copy of the weights: the network stays where and as it is."""
        log.warning("out of memory; trying on the CPU", extra={"device": self._device.type})
        dtype = best_dtype("cpu", by_hub_code=self._config.loader == "transformers")
        self.model_info = replace(self._home_info, device="cpu", dtype=_name(dtype))
        with _device_errors(), torch.inference_mode(), watched(self._network, step):
            named = chain(self._network.named_parameters(), self._network.named_buffers())
            copies = {
                name: tensor.to("cpu", dtype if tensor.is_floating_point() else None)
                for name, tensor in named
            }
            return _numpy(_alpha(functional_call(self._network, copies, (normalised(photo, dtype),))))


def normalised(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (B, H, W, 3) uint8 as the network wants it: (B, 3, H, W), channels last in memory."""
    channels = zip(pixels.unbind(-1), MEAN.tolist(), STD.tolist(), strict=True)
    each = [channel.float().sub_(255 * mean).div_(255 * std) for channel, mean, std in channels]
    return torch.stack(each, -1).to(dtype).permute(0, 3, 1, 2)


def _alpha(logits: Tensor) -> Tensor:
    """Return (H, W) uint8 of (1, 1, H, W): a quarter of what float32 would have to travel from a device."""
    return logits.float().sigmoid().mul_(255).round_().to(torch.uint8)[0, 0]


def _numpy(tensor: Tensor) -> Pixels:
    array: Pixels = tensor.cpu().numpy()
    return array


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def _device_errors() -> Iterator[None]:
    """Turn PyTorch's want of memory, and the loss of its device, into ours."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise OutOfMemory from error
        if not device_answers():
            raise DeviceLost(str(error).partition("\n")[0]) from error
        raise
