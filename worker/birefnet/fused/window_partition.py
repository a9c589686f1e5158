"""Window partition for (shifted) window attention: cyclic shift, padding and partition as one gather."""

from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

Sizes = tuple[tuple[int, int], ...]  # (height, width) of each map, in tokens


class WindowPlan(NamedTuple):
    """The partition of the L concatenated tokens of several maps into windows of N tokens.

    `slots` (windows x N,) is each window slot's token, an arbitrary one where the slot is `padding`;
    `tokens` (L,) is each token's slot. Windows are sorted by kind, and `kinds` are the bounds: inner windows,
    then those that wrap around at the bottom, at the right, and at both.
    """

    slots: Tensor
    padding: Tensor
    tokens: Tensor
    kinds: tuple[slice, ...]


@lru_cache(maxsize=64)
def plan_windows(sizes: Sizes, window: int, shift: int, device: torch.device) -> WindowPlan:
    """Return the partition of maps of these sizes, after a cyclic shift by -shift on both axes."""
    by_kind: list[list[Tensor]] = [[], [], [], []]
    start = 0
    for height, width in sizes:
        windows = _index_windows(height, width, window, shift, start)  # (rows, columns, N)
        inner = slice(None, -1) if shift else slice(None)
        edge = slice(-1, None) if shift else slice(0)
        for kind, (down, across) in enumerate(((inner, inner), (edge, inner), (inner, edge), (edge, edge))):
            by_kind[kind].append(windows[down, across].flatten(0, 1))
        start += height * width
    counts = [sum(len(part) for part in parts) for parts in by_kind]
    slots = torch.cat([part for parts in by_kind for part in parts]).flatten()
    (padding,) = (slots < 0).nonzero(as_tuple=True)
    (filled,) = (slots >= 0).nonzero(as_tuple=True)
    tokens = torch.empty(start, dtype=torch.int64)
    tokens[slots[filled]] = filled
    kinds = tuple(slice(low, high) for low, high in pairwise(accumulate(counts, initial=0)))
    return WindowPlan(slots.clamp(min=0).to(device), padding.to(device), tokens.to(device), kinds)


def _index_windows(height: int, width: int, window: int, shift: int, start: int) -> Tensor:
    """Return the tokens of each window, (rows, columns, N) int64, -1 for padding."""

    def axis(length: int) -> Tensor:
        padded = -(-length // window) * window
        return (torch.arange(padded) + shift) % padded

    down, across = axis(height)[:, None], axis(width)[None]
    token = torch.where((down < height) & (across < width), start + down * width + across, -1)
    rows, columns = token.shape[0] // window, token.shape[1] // window
    return token.view(rows, window, columns, window).transpose(1, 2).flatten(2)


@lru_cache(maxsize=64)
def plan_merge(sizes: Sizes, device: torch.device) -> tuple[Tensor, Tensor, Sizes]:
    """Return the patch merging of maps of these sizes: tokens, padding and the new sizes.

    `tokens`, (4 L',) int64, are the four tokens of each merged one, in the order of their channels; `padding`
    are positions in it.
    """
    parts, merged, start = [], [], 0
    for height, width in sizes:
        rows, columns = -(-height // 2), -(-width // 2)
        token = torch.full((2 * rows, 2 * columns), -1)
        token[:height, :width] = torch.arange(start, start + height * width).view(height, width)
        quarters = token[0::2, 0::2], token[1::2, 0::2], token[0::2, 1::2], token[1::2, 1::2]
        parts.append(torch.stack(quarters, -1).flatten())
        merged.append((rows, columns))
        start += height * width
    tokens = torch.cat(parts)
    (padding,) = (tokens < 0).nonzero(as_tuple=True)
    return tokens.clamp(min=0).to(device), padding.to(device), tuple(merged)
