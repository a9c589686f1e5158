"""Where the time of a pass goes: the network's components, told apart by hooks on its modules.

A pass is cut into consecutive pieces, each ended by a module's return, so that they add up to all of it:
what lies between two components, such as a merge or a resize, counts to the second one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from worker.birefnet.fused import FusedBiRefNet

START = "start"


def ends(network: FusedBiRefNet) -> Iterator[tuple[str, nn.Module]]:
    """Yield each component's name and the module whose return ends it, in the order of a pass."""
    for number, blocks in enumerate(network.bb.stages):
        yield f"stage {number}", list(blocks.children())[-1]
    yield "squeeze", network.squeeze
    steps = list(network.decoder.steps)
    for number, step in enumerate(steps):
        yield f"decoder {len(steps) - number}", step
    yield "head", network


class Marks:
    """The moments of one pass: of the clock on a CPU, of the device's own events on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._events: dict[str, torch.cuda.Event] = {}
        self._times_s: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Take the time now. While a CUDA graph is recorded, every replay takes it anew."""
        if not self._on_gpu:
            self._times_s[name] = time.perf_counter()
            return
        if name not in self._events:
            event = torch.cuda.Event(enable_timing=True, external=True)  # type: ignore[no-untyped-call]  # no types there
            self._events[name] = event
        self._events[name].record()

    def pieces_s(self) -> dict[str, float]:
        """Return the seconds of each component of the last pass, which the device has ended."""
        if self._on_gpu:
            events = pairwise(self._events.items())
            return {name: before.elapsed_time(after) / 1000 for (_, before), (name, after) in events}
        return {name: after - before for (_, before), (name, after) in pairwise(self._times_s.items())}


@contextmanager
def watched(network: FusedBiRefNet, device: torch.device) -> Iterator[Marks]:
    """Mark every component of every pass within the block."""
    marks = Marks(device)
    hooks = [module.register_forward_hook(partial(_mark, marks, name)) for name, module in ends(network)]
    hooks.append(network.register_forward_pre_hook(partial(_mark, marks, START)))
    try:
        yield marks
    finally:
        for hook in hooks:
            hook.remove()


def _mark(marks: Marks, name: str, *_: object) -> None:
    marks.mark(name)
