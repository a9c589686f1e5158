"""The BiRefNet engine: preprocessing, inference and CPU fallback, for the network of either loader."""

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
from worker.birefnet.progress_hooks import progress_hooks
from worker.engines import (
    MEAN,
    STD,
    DeviceContextLost,
    DeviceFn,
    LoadProgressFn,
    ProgressFn,
    ignore_device,
)
from worker.engines.torch_device import (
    best_dtype,
    choose_device,
    is_device_context_valid,
    is_out_of_memory,
    other_devices,
)
from worker.imaging.colour import ModelInput
from worker.imaging.geometry import Box, Pixels
from worker.imaging.parallel import available_cores, resize
from worker.malloc import retain_freed_memory

log = logging.getLogger("worker.birefnet")

# Builds the network, which maps a normalised (B, 3, H, W) to logits (B, 1, H, W), on a device in a dtype.
NetworkLoader = Callable[[Path, torch.device, torch.dtype, LoadProgressFn], nn.Module]


class BirefnetEngine:
    """A loaded BiRefNet."""

    def __init__(
        self,
        config: WorkerConfig,
        load: NetworkLoader,
        on_progress: LoadProgressFn,
        on_device: DeviceFn = ignore_device,
    ) -> None:
        retain_freed_memory()
        torch.set_num_threads(available_cores())
        self._config = config
        trust_remote_code = config.loader == "transformers"
        self._device, self._dtype = choose_device(
            config.device, config.dtype, trust_remote_code=trust_remote_code
        )
        on_device(str(self._device), other_devices(self._device))
        if self._device.index is not None:
            # CUDA graphs, Triton kernels and memory statistics use the current device of this thread, which
            # runs the inference.
            torch.cuda.set_device(self._device)
        try:
            self._network = load(Path(config.model_path), self._device, self._dtype, on_progress)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise OutOfMemory(f"There is not enough memory for the model on {self._device}.") from error
            raise
        self._cuda_graph = self._capture_cuda_graph()
        self.model_info = ModelInfo(
            model_id=config.model_id,
            device=self._device.type,
            dtype=_dtype_name(self._dtype),
            device_memory_bytes=torch.cuda.memory_reserved() if self._device.type == "cuda" else 0,
        )

    def preprocess(self, image: ModelInput, box: Box | None = None) -> Pixels:
        """Return an RGB image, or a box in it, at the model's input size: (H, W, 3) uint8."""
        size = image.size if box is None else (box.width, box.height)
        return resize(
            image,
            fit_input_size(self._config.input_size, size),
            Image.Resampling.BILINEAR,
            box and box.corners,
        )

    def predict_alpha(self, pixels: Pixels, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Return the alpha matte, (H, W) of (H, W, 3) pixels, and the device and dtype that computed it.

        Out of GPU memory, it retries on the CPU if `cpu_fallback` is set, else raises OutOfMemory.
        """
        image = torch.from_numpy(pixels)[None]
        try:
            return self._infer(image, on_progress), self.model_info
        except OutOfMemory:
            if self._device.type == "cpu" or not self._config.cpu_fallback:
                raise
        # Outside the handler: its exception would keep the failed pass's tensors alive.
        return self._infer_on_cpu(image, on_progress)

    def _infer(self, image: Tensor, on_progress: ProgressFn) -> Pixels:
        """Return the matte of (1, H, W, 3), computed on the network's device. Raises OutOfMemory."""
        if self._cuda_graph is not None and image.shape == self._cuda_graph.shape:
            with _translate_device_errors(), torch.inference_mode():
                alpha = _to_numpy(self._cuda_graph(image.pin_memory()))
            on_progress(1)
            return alpha
        with _translate_device_errors(), torch.inference_mode(), progress_hooks(self._network, on_progress):
            return _to_numpy(self._predict(image.to(self._device)))

    def _predict(self, pixels: Tensor) -> Tensor:
        return _to_alpha(self._network(normalise(pixels, self._dtype)))

    def _capture_cuda_graph(self) -> CudaGraph | None:
        """Return the network as a CUDA graph; None for a variable input size, or without memory for it."""
        size = self._config.input_size
        if self._device.type != "cuda" or not isinstance(size, tuple) or self._config.loader != "native":
            return None
        example = torch.zeros((1, size[1], size[0], 3), dtype=torch.uint8, device=self._device)
        try:
            return CudaGraph(self._predict, example)
        except RuntimeError:  # out of memory, or a kernel that cannot be captured
            log.warning("CUDA graph not captured", extra={"action": "run eagerly"}, exc_info=True)
            return None

    def _infer_on_cpu(self, image: Tensor, on_progress: ProgressFn) -> tuple[Pixels, ModelInfo]:
        """Compute on the CPU with a copy of the weights; the network itself stays on its device."""
        log.warning("device memory exhausted", extra={"action": "use the CPU", "device": self._device.type})
        dtype = best_dtype("cpu", trust_remote_code=self._config.loader == "transformers")
        with _translate_device_errors(), torch.inference_mode(), progress_hooks(self._network, on_progress):
            named = chain(self._network.named_parameters(), self._network.named_buffers())
            copies = {
                name: tensor.to("cpu", dtype if tensor.is_floating_point() else None)
                for name, tensor in named
            }
            logits = functional_call(self._network, copies, (normalise(image, dtype),))
            alpha = _to_numpy(_to_alpha(logits))
        return alpha, replace(self.model_info, device="cpu", dtype=_dtype_name(dtype))


def normalise(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the network's input, (B, 3, H, W) channels last in memory, of (B, H, W, 3) uint8."""
    channels = zip(pixels.unbind(-1), MEAN.tolist(), STD.tolist(), strict=True)
    planes = [channel.float().sub_(255 * mean).div_(255 * std) for channel, mean, std in channels]
    return torch.stack(planes, -1).to(dtype).permute(0, 3, 1, 2)


def _to_alpha(logits: Tensor) -> Tensor:
    """Return (H, W) uint8 of (1, 1, H, W), on the device: a quarter of float32's bytes to transfer."""
    return logits.float().sigmoid().mul_(255).round_().to(torch.uint8)[0, 0]


def _to_numpy(tensor: Tensor) -> Pixels:
    array: Pixels = tensor.cpu().numpy()
    return array


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def _translate_device_errors() -> Iterator[None]:
    """Raise OutOfMemory and DeviceContextLost in place of PyTorch's errors for them."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise OutOfMemory from error
        if not is_device_context_valid():
            raise DeviceContextLost(str(error).partition("\n")[0]) from error
        raise
