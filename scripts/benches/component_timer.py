"""Per-component timing of a forward pass, by hooks on the network's modules.

Each component ends when its module returns and starts where the previous one ended, so the times add up to
the whole pass: work between two components, such as a resize, counts to the second one.
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


def component_ends(network: FusedBiRefNet) -> Iterator[tuple[str, nn.Module]]:
    """Yield each component's name and the module whose return ends it, in order of execution."""
    for number, blocks in enumerate(network.bb.stages):
        yield f"stage {number}", list(blocks.children())[-1]
    yield "squeeze", network.squeeze
    steps = list(network.decoder.steps)
    for number, step in enumerate(steps):
        yield f"decoder {len(steps) - number}", step
    yield "head", network


class ComponentTimer:
    """Timestamps of one pass: of the clock on a CPU, CUDA events on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._events: dict[str, torch.cuda.Event] = {}
        self._times_s: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Record a timestamp. During CUDA graph capture the event becomes part of every replay."""
        if not self._on_gpu:
            self._times_s[name] = time.perf_counter()
            return
        if name not in self._events:
            event = torch.cuda.Event(enable_timing=True, external=True)  # type: ignore[no-untyped-call]  # no types there
            self._events[name] = event
        self._events[name].record()

    def durations_s(self) -> dict[str, float]:
        """Return each component's seconds in the last pass; a GPU must be synchronized before."""
        if self._on_gpu:
            events = pairwise(self._events.items())
            return {name: before.elapsed_time(after) / 1000 for (_, before), (name, after) in events}
        return {name: after - before for (_, before), (name, after) in pairwise(self._times_s.items())}


@contextmanager
def time_components(network: FusedBiRefNet, device: torch.device) -> Iterator[ComponentTimer]:
    """Time every component of every pass within the block."""
    timer = ComponentTimer(device)
    ends = component_ends(network)
    hooks = [module.register_forward_hook(partial(_mark, timer, name)) for name, module in ends]
    hooks.append(network.register_forward_pre_hook(partial(_mark, timer, START)))
    try:
        yield timer
    finally:
        for hook in hooks:
            hook.remove()


def _mark(timer: ComponentTimer, name: str, *_: object) -> None:
    timer.mark(name)
