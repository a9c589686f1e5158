"""Measures one network in a separate process: python -m benches.network_speed CASE, with a case in JSON.

Prints one line of JSON. `bench.py model` starts one process per case, since peak memory is per process.
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

from benches import gemm
from benches.component_timer import ComponentTimer, time_components
from seeded_weights import seeded_image
from shared.errors import BgremoveError
from worker.birefnet import from_state_dict
from worker.birefnet.cuda_graph import CudaGraph
from worker.birefnet.fused import FusedBiRefNet
from worker.engines import torch_device, weights
from worker.imaging.parallel import available_cores
from worker.malloc import retain_freed_memory

GRAPH, EAGER = "graph", "eager"
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): sets VmHWM to the present resident size
Pass = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Case:
    """A network and an input to measure; `size` is the input's side in pixels, `folder` has the weights."""

    backbone: str
    dtype: str
    device: str
    size: int
    repeats: int
    folder: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Measurements of every pass, by kind of pass, by product and by component.

    Times in seconds, rates in FLOP/s, memory in bytes. Components are of passes of the last kind.
    `device_bytes` is None without a GPU, `peak_bytes` on systems other than Linux.
    """

    times_s: dict[str, list[float]]
    rates: dict[str, list[float]]
    components_s: dict[str, list[float]]
    peak_bytes: int | None
    device_bytes: int | None
    device_name: str
    threads: int


def main(argument: str) -> None:
    """Measure a case and print its record; exit with a message if it cannot be run here."""
    try:
        record = measure(Case(**json.loads(argument)))
    except BgremoveError as error:
        sys.exit(error.detail)
    sys.stdout.write(json.dumps(asdict(record)) + "\n")


def measure(case: Case) -> RunRecord:
    """Load the network as a worker does, and time its passes."""
    torch.set_num_threads(available_cores())
    device, dtype = torch_device.choose_device(case.device, case.dtype)
    retain_freed_memory()
    on_gpu = device.type == "cuda"
    before = _reset_peak_rss()
    network = _load(Path(case.folder), device, dtype)
    image = torch.from_numpy(seeded_image(case.size, case.size)).to(device, dtype)
    with torch.inference_mode(), time_components(network, device) as timer:
        passes = _passes(network, image)
        passes[next(reversed(passes))]()
        # Before the eager passes on a GPU and the products, which a worker does not run.
        peak = _rss_bytes("VmHWM")
        reserved = torch.cuda.max_memory_reserved(device) if on_gpu else None
        times_s, rates, components_s = _time_passes(passes, timer, device, dtype, case.repeats)
    return RunRecord(
        times_s,
        rates,
        components_s,
        peak_bytes=None if before is None or peak is None else peak - before,
        device_bytes=reserved,
        device_name=torch.cuda.get_device_name(device) if on_gpu else "",
        threads=torch.get_num_threads(),
    )


def _load(folder: Path, device: torch.device, dtype: torch.dtype) -> FusedBiRefNet:
    state = weights.read(folder, lambda _: None)
    return cast("FusedBiRefNet", from_state_dict(state, device=device, dtype=dtype))


def _passes(network: FusedBiRefNet, image: Tensor) -> dict[str, Pass]:
    """Return the ways to run the network on this device; the last is that of a worker."""
    passes: dict[str, Pass] = {EAGER: lambda: network(image)}
    if image.device.type == "cuda":
        graph = CudaGraph(network, image)
        passes[GRAPH] = lambda: graph(image)
    return passes


def _reset_peak_rss() -> int | None:
    """Reset the peak counter; return the resident bytes, None where the system does not report them."""
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError:  # not Linux, or a sandbox that forbids it
        return None
    return _rss_bytes("VmRSS")


def _rss_bytes(field: str) -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


Table = dict[str, list[float]]


def _time_passes(
    passes: dict[str, Pass], timer: ComponentTimer, device: torch.device, dtype: torch.dtype, repeats: int
) -> tuple[Table, Table, Table]:
    """Return the times of passes, the rates of products and the times of components.

    Interleaved, so that a drift of the machine's clock affects all equally.
    """
    times_s: Table = {kind: [] for kind in passes}
    products = gemm.products(device, dtype)
    for product in products.values():
        gemm.measure_rate(product, device)  # warm-up: selects the kernel
    rates: Table = {name: [] for name in products}
    components_s: Table = {}
    for _ in range(repeats):
        for name, product in products.items():
            rates[name].append(gemm.measure_rate(product, device))
        for kind, run in passes.items():
            gemm.synchronize(device)
            start = time.perf_counter()
            run()
            gemm.synchronize(device)
            times_s[kind].append(time.perf_counter() - start)
        for name, seconds in timer.durations_s().items():
            components_s.setdefault(name, []).append(seconds)
    return times_s, rates, components_s


if __name__ == "__main__":
    main(sys.argv[1])
