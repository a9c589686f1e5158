"""Measures one network in a process of its own: python -m benches.network_speed CASE, which is JSON.

Prints one line of JSON. Started by `bench.py model`, one process after the other, so that each one's peak of
memory is its own.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from benches import gemm, peak_memory
from benches.components import Marks, watched
from seeded_weights import seeded_image
from shared.errors import BgremoveError
from worker.birefnet import from_state_dict
from worker.birefnet.cuda_graph import CudaGraph
from worker.birefnet.fused import FusedBiRefNet
from worker.engines import torch_device, weights
from worker.imaging.parallel import available_cores
from worker.malloc import retain_freed_memory

GRAPH, EAGER = "graph", "eager"
Pass = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Case:
    """What to measure; `size` is the input's side in pixels, `folder` holds the weights."""

    backbone: str
    dtype: str
    device: str
    size: int
    repeats: int
    folder: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of each pass, one list item a pass; by kind of pass, by product and by component.

    Times are in seconds, rates in operations a second, memory in bytes. The components are those of passes
    of the last kind. Without a GPU there is no `device_bytes`; `peak_bytes` is for Linux alone.
    """

    times_s: dict[str, list[float]]
    rates: dict[str, list[float]]
    components_s: dict[str, list[float]]
    peak_bytes: int | None
    device_bytes: int | None
    device_name: str
    threads: int


def main(argument: str) -> None:
    """Measure the case and print what was seen; end with a sentence where it cannot be run here."""
    try:
        seen = measure(Case(**json.loads(argument)))
    except BgremoveError as error:
        sys.exit(error.detail)
    sys.stdout.write(json.dumps(asdict(seen)) + "\n")


def measure(case: Case) -> Seen:
    """Load the network as a worker does, and run it."""
    torch.set_num_threads(available_cores())
    device, dtype = torch_device.choose_device(case.device, case.dtype)
    retain_freed_memory()
    on_gpu = device.type == "cuda"
    before = peak_memory.start_of_peak()
    network = _loaded(Path(case.folder), device, dtype)
    image = torch.from_numpy(seeded_image(case.size, case.size)).to(device, dtype)
    with torch.inference_mode(), watched(network, device) as marks:
        passes = _passes(network, image)
        passes[next(reversed(passes))]()
        # Now: eager passes on a GPU, and the products that tell the machine's rate, are no part of a worker.
        most = peak_memory.peak()
        reserved = torch.cuda.max_memory_reserved(device) if on_gpu else None
        times_s, rates, components_s = _timed(passes, marks, device, dtype, case.repeats)
    return Seen(
        times_s,
        rates,
        components_s,
        peak_bytes=None if before is None or most is None else most - before,
        device_bytes=reserved,
        device_name=torch.cuda.get_device_name(device) if on_gpu else "",
        threads=torch.get_num_threads(),
    )


def _loaded(folder: Path, device: torch.device, dtype: torch.dtype) -> FusedBiRefNet:
    state = weights.read(folder, lambda _: None)
    return cast("FusedBiRefNet", from_state_dict(state, device=device, dtype=dtype))


def _passes(network: FusedBiRefNet, image: Tensor) -> dict[str, Pass]:
    """Return the ways to run the network here, the one that a worker takes last."""
    passes: dict[str, Pass] = {EAGER: lambda: network(image)}
    if image.device.type == "cuda":
        replayed = CudaGraph(network, image)
        passes[GRAPH] = lambda: replayed(image)
    return passes


Table = dict[str, list[float]]


def _timed(
    passes: dict[str, Pass], marks: Marks, device: torch.device, dtype: torch.dtype, repeats: int
) -> tuple[Table, Table, Table]:
    """Return the times of passes, the rates of products and the times of components.

    They take turns, so that a machine whose speed drifts is as fast for the one as for the other.
    """
    times_s: Table = {kind: [] for kind in passes}
    products = gemm.products(device, dtype)
    for product in products.values():
        gemm.rate(product, device)  # the first one chooses its kernel
    rates: Table = {name: [] for name in products}
    components_s: Table = {}
    for _ in range(repeats):
        for name, product in products.items():
            rates[name].append(gemm.rate(product, device))
        for kind, run in passes.items():
            gemm.synchronize(device)
            start = time.perf_counter()
            run()
            gemm.synchronize(device)
            times_s[kind].append(time.perf_counter() - start)
        for name, seconds in marks.pieces_s().items():
            components_s.setdefault(name, []).append(seconds)
    return times_s, rates, components_s


if __name__ == "__main__":
    main(sys.argv[1])
