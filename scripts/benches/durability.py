"""`bench.py durability`: what a durable spool costs per removal, and an fsync on its file system."""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benches import positive_int
from benches.bench_server import run_server
from benches.clients import FIRST_TIMEOUT_S, Bgremove
from benches.photos import make_photos

REPEATS = 20
FSYNCS = 20
BLOCK = bytes(300_000)  # the size of a photo of one megapixel


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `durability`."""
    parser.add_argument(
        "--repeats", type=positive_int, default=REPEATS, help=f"removals of each kind (default {REPEATS})"
    )
    parser.add_argument(
        "--folder", type=Path, help="folder of the spool (default: the system's temporary folder)"
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Send a photo to a durable and to another server in turns; print and return the medians."""
    photo = make_photos()[-1]
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bgremove-bench-") as path:
        folder = Path(path)
        fsync_ms = [_time_fsync(folder) for _ in range(FSYNCS)]
        spool = str(folder / "spool")
        with run_server(durable="true", spool_dir=spool) as kept, run_server(durable="false") as other:
            clients = {
                "durable": Bgremove(kept.url, 0.001, {"model": "builtin"}),
                "not durable": Bgremove(other.url, 0.001, {"model": "builtin"}),
            }
            times_ms: dict[str, list[float]] = {name: [] for name in clients}
            for client in clients.values():
                client.remove(photo, FIRST_TIMEOUT_S)
            for number in range(arguments.repeats):
                for name in sorted(clients, reverse=bool(number % 2)):
                    times_ms[name].append(clients[name].remove(photo).latency_ms)
    medians_ms = {name: statistics.median(times) for name, times in times_ms.items()}
    for name, median_ms in medians_ms.items():
        print(f"{name:12} {median_ms:7.1f} ms per removal")
    print(f"difference   {medians_ms['durable'] - medians_ms['not durable']:7.1f} ms")
    print(f"fsync        {statistics.median(fsync_ms):7.1f} ms, of a file of 300 kB")
    return {"latency_ms": times_ms, "fsync_ms": fsync_ms}


def _time_fsync(folder: Path) -> float:
    path = folder / "block"
    with path.open("wb") as file:
        file.write(BLOCK)
        file.flush()
        start = time.perf_counter()
        os.fsync(file.fileno())
        return (time.perf_counter() - start) * 1000
