"""Compares the ONNX engine with rembg, in alphas and times: `python -m tests.compare_mattes FOLDER PHOTO…`.

FOLDER holds u2net.onnx and u2netp.onnx. Needs `rembg[cpu]` and worker/requirements-builtin.txt in one
environment, and an idle machine. Both programs run each model in turn, in one process. Times are medians
(minima) in milliseconds, of the matte alone and of the whole removal, from file to PNG. The difference is
that of the alphas, 0 to 1: its mean, the largest, and the share of pixels within 1/255.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.catalog import BUILTIN, find_named_model
from shared.messages import RemovalJob, WorkerConfig
from shared.options import RemovalOptions
from worker import pipeline
from worker.engines.onnx_engine import OnnxEngine
from worker.imaging import decode
from worker.imaging.matting import compute_matte

ROUNDS = 7
MAX_PIXELS = 10**9
MODELS = {"u2net": find_named_model("u2net"), "u2netp": BUILTIN}


def ignore(*_: object) -> None:
    """Follow nothing."""


@dataclass
class Candidate:
    """One program with one model: how it computes a matte, and a whole removal."""

    name: str
    compute_matte: Callable[[Path], Any]
    remove: Callable[[Path], object]
    matte: Any = None
    times_ms: dict[str, list[float]] = field(default_factory=lambda: {"matte": [], "removal": []})

    def measure(self, photo: Path) -> None:
        """Run both once."""
        self.matte, spent_ms = self.compute_matte(photo)
        self.times_ms["matte"].append(spent_ms)
        start = time.perf_counter()
        self.remove(photo)
        self.times_ms["removal"].append((time.perf_counter() - start) * 1000)

    def describe_times(self) -> str:
        """Return medians and minima, and forget them."""
        texts = [
            f"{name} {statistics.median(ms):5.0f} ({min(ms):4.0f})" for name, ms in self.times_ms.items()
        ]
        for each in self.times_ms.values():
            each.clear()
        return ", ".join(texts)


def ours(name: str, folder: Path, result: Path) -> Candidate:
    """Return this service's engine with a model, and without `refine`, which rembg does not do."""
    spec = MODELS[name]
    model = str(folder / f"{name}.onnx")
    engine = OnnxEngine(
        WorkerConfig("onnx", model, MAX_PIXELS, name, input_size=spec.input_size, network=spec.network)
    )

    def matte(photo: Path) -> tuple[Any, float]:
        image = decode.decode(photo, MAX_PIXELS).to_model_input()
        start = time.perf_counter()
        alpha = compute_matte(image, engine, ignore)[0]
        return alpha, (time.perf_counter() - start) * 1000

    def remove(photo: Path) -> None:
        job = RemovalJob("a", str(photo), str(result), RemovalOptions(refine=False))
        pipeline.remove(job, engine, MAX_PIXELS, ignore)

    return Candidate(f"ours, {name}", matte, remove)


def rembgs(name: str, folder: Path, result: Path) -> Candidate:
    """Return rembg with a model."""
    os.environ["U2NET_HOME"] = str(folder)
    import rembg  # noqa: PLC0415  # not a package of this project

    session = rembg.new_session(name)

    def matte(photo: Path) -> tuple[Any, float]:
        image = Image.open(photo).convert("RGB")
        start = time.perf_counter()
        (mask,) = session.predict(image)
        return np.asarray(mask), (time.perf_counter() - start) * 1000

    def remove(photo: Path) -> None:
        result.write_bytes(rembg.remove(photo.read_bytes(), session=session))

    return Candidate(f"rembg, {name}", matte, remove)


def describe_difference(first: Any, second: Any) -> str:
    """Return how far two mattes of 0 to 255 differ."""
    levels = np.abs(first.astype(int) - second)
    share = (levels <= 1).mean()
    return f"mean {levels.mean() / 255:.5f}, largest {levels.max() / 255:.3f}, {share:.1%} within 1/255"


def main(folder: Path, photos: list[Path]) -> None:
    """Print a line per photo and candidate."""
    decode.configure()
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.png"
        pairs = [(ours(name, folder, result), rembgs(name, folder, result)) for name in MODELS]
        for photo in photos:
            for _ in range(ROUNDS):
                for candidate in (each for pair in pairs for each in pair):
                    candidate.measure(photo)
            print(photo.name, "{} x {}".format(*Image.open(photo).size))  # noqa: T201
            for pair in pairs:
                for candidate in pair:
                    print(f"  {candidate.name:14} {candidate.describe_times()}")  # noqa: T201
                print(f"  {'difference':14} {describe_difference(*(each.matte for each in pair))}")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
