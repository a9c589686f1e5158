"""CUDA graphs: a forward pass of one input size, captured once and replayed without kernel launches."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP_PASSES = 2  # libraries select kernels, and Triton compiles, before the capture


class CudaGraph:
    """A captured function from one CUDA tensor to another, for inputs of the shape of `example`.

    Raises torch.OutOfMemoryError if the device has no memory for the graph's own pool.
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
        """The only input shape that `__call__` accepts."""
        return self._input.shape

    def __call__(self, x: Tensor) -> Tensor:
        """Return the function's value for `x`, on the CPU or the device, of the captured shape.

        The next call overwrites the returned tensor.
        """
        self._input.copy_(x, non_blocking=True)
        self._graph.replay()
        return self._output
