"""Seeded BiRefNet checkpoints for the benchmarks, cached in the layout of a hub cache."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benches import ROOT, BenchFailed

CACHE = ROOT / ".bench_cache"
DTYPE = "float16"  # as on the hub
WEIGHTS = "model.safetensors"


def add_folder_to(parser: argparse.ArgumentParser) -> None:
    """Add the argument --weights, the cache folder."""
    parser.add_argument(
        "--weights",
        type=Path,
        default=CACHE,
        metavar="FOLDER",
        help="cache of seeded weights (default .bench_cache)",
    )


def ensure_snapshot(backbone: str, cache: Path = CACHE) -> Path:
    """Return the folder of a seeded BiRefNet, created if missing. Raises BenchFailed."""
    repo = f"seeded/{backbone}"
    snapshot = _find_snapshot(cache, repo)
    if snapshot is None:
        print(f"writing seeded weights of {backbone} into {cache}", file=sys.stderr, flush=True)
        command = [sys.executable, str(ROOT / "scripts/make_checkpoint.py"), "--backbone", backbone]
        command += ["--dtype", DTYPE, "--repo", repo, str(cache)]
        # In a separate process: drawing the weights takes some gigabytes of memory.
        subprocess.run(command, env={**os.environ, "BGREMOVE_NO_BOOTSTRAP": "1"}, check=False)
        snapshot = _find_snapshot(cache, repo)
    if snapshot is None:
        raise BenchFailed("The seeded weights could not be written; the reason is printed above.")
    return snapshot


def _find_snapshot(cache: Path, repo: str) -> Path | None:
    root = cache / f"models--{repo.replace('/', '--')}"
    try:
        folder = root / "snapshots" / (root / "refs" / "main").read_text()
    except FileNotFoundError:
        return None
    return folder if (folder / WEIGHTS).exists() else None  # written last
