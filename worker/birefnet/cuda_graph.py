"""A network of one input size as a CUDA graph: recorded once, then replayed without a launch per kernel."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP_PASSES = 2  # so that libraries choose their kernels, and Triton compiles, before the recording


class CudaGraph:
    """A function from one CUDA tensor to another, recorded for tensors like `example`.

    Raises torch.OutOfMemoryError where the device has no room for the recording's own memory.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], example: Tensor) -> None:
        self._input = example.clone()
        side = torch.cuda.Stream(example.device)  # type: ignore[no-untyped-call]  # PyTorch has no types here
        side.wait_stream(torch.cuda.current_stream(example.device))
        with torch.inference_mode(), torch.cuda.stream(side):
            for _ in range(WARM_UP_PASSES):
                function(self._input)
        torch.cuda.current_stream(example.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph):
            self._output = function(self._input)

    @property
    def shape(self) -> torch.Size:
        """The only shape that `__call__` takes."""
        return self._input.shape

    def __call__(self, x: Tensor) -> Tensor:
        """Return the function of `x`, on the CPU or the device, of the recorded shape.

        The next call overwrites what this one returns.
        """
        self._input.copy_(x, non_blocking=True)
        self._graph.replay()
        return self._output
