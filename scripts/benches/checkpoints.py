"""Seeded weights for the benches: written once, kept beside the project, in a hub cache's layout."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benches import ROOT, BenchFailed

CACHE = ROOT / ".bench_cache"
DTYPE = "float16"  # as the hub has them
WEIGHTS = "model.safetensors"


def add_folder_to(parser: argparse.ArgumentParser) -> None:
    """Let a bench be told where the weights are kept, as `arguments.weights`."""
    parser.add_argument(
        "--weights",
        type=Path,
        default=CACHE,
        metavar="FOLDER",
        help="where seeded weights are kept (default .bench_cache)",
    )


def snapshot(backbone: str, cache: Path = CACHE) -> Path:
    """Return the folder of a seeded BiRefNet, made if need be. Raises BenchFailed."""
    repo = f"seeded/{backbone}"
    found = _found(cache, repo)
    if found is None:
        print(f"writing seeded weights of {backbone} into {cache}", file=sys.stderr, flush=True)
        command = [sys.executable, str(ROOT / "scripts/make_checkpoint.py"), "--backbone", backbone]
        command += ["--dtype", DTYPE, "--repo", repo, str(cache)]
        # A process of its own: the weights take some gigabytes while they are drawn.
        subprocess.run(command, env={**os.environ, "BGREMOVE_NO_BOOTSTRAP": "1"}, check=False)
        found = _found(cache, repo)
    if found is None:
        raise BenchFailed("The seeded weights could not be written; it says why above.")
    return found


def _found(cache: Path, repo: str) -> Path | None:
    root = cache / f"models--{repo.replace('/', '--')}"
    try:
        folder = root / "snapshots" / (root / "refs" / "main").read_text()
    except FileNotFoundError:
        return None
    return folder if (folder / WEIGHTS).exists() else None  # it comes last
