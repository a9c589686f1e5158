"""Writes a seeded BiRefNet checkpoint, for tests, benches and demos without the trained weights.

    python3 scripts/make_checkpoint.py --backbone swin_v1_t FOLDER          a plain model folder
    python3 scripts/make_checkpoint.py --repo owner/name FOLDER             a hub cache that holds it

The weights are random but deterministic: the network runs like the trained one, its alpha mattes are noise.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import bootstrap


def main() -> int:
    """Write the checkpoint that the arguments describe."""
    parser = argparse.ArgumentParser(
        prog="make_checkpoint", description="Write a seeded BiRefNet checkpoint."
    )
    backbones = ("swin_v1_t", "swin_v1_s", "swin_v1_b", "swin_v1_l")
    parser.add_argument("folder", type=Path, help="output folder; created if missing")
    parser.add_argument("--backbone", choices=backbones, default="swin_v1_t")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repo", metavar="OWNER/NAME", help="write a hub cache that holds this repository")
    arguments = parser.parse_args()
    bootstrap.reexec(bootstrap.ensure("worker/requirements-birefnet.txt"))
    folder = arguments.folder
    plain = folder / "plain" if arguments.repo else folder
    size_bytes = write_plain(plain, arguments.backbone, arguments.dtype, arguments.seed)
    if arguments.repo:
        folder = move_into_hub_cache(plain, folder, arguments.repo)
    bootstrap.print_message(f"wrote {folder} ({size_bytes / 1e6:.0f} MB)")
    return 0


def write_plain(folder: Path, backbone: str, dtype: str = "float32", seed: int = 0) -> int:
    """Write config.json and model.safetensors into `folder`; return the size of the weights in bytes."""
    # Imported here: only .venv's Python has torch.
    import torch  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    from seeded_weights import seeded_state  # noqa: PLC0415
    from worker.birefnet.config import find_backbone  # noqa: PLC0415
    from worker.birefnet.model import BiRefNet  # noqa: PLC0415

    with torch.device("meta"):
        network = BiRefNet(find_backbone(backbone))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    torch_dtype = getattr(torch, dtype)
    state = {
        name: torch.from_numpy(values).to(torch_dtype) for name, values in seeded_state(shapes, seed).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["BiRefNet"], "bb": backbone}) + "\n")
    save_file(state, folder / "model.safetensors")
    return (folder / "model.safetensors").stat().st_size


def move_into_hub_cache(plain: Path, cache: Path, repo: str) -> Path:
    """Move a plain model folder into the layout of a hub cache; return the snapshot folder."""
    root = cache / f"models--{repo.replace('/', '--')}"
    files = sorted(plain.iterdir())
    digests = {file.name: _sha256(file) for file in files}
    commit = hashlib.sha1(json.dumps(digests).encode(), usedforsecurity=False).hexdigest()
    snapshot = root / "snapshots" / commit
    for folder in (root / "blobs", root / "refs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    for file in files:
        blob = root / "blobs" / digests[file.name]
        file.replace(blob)
        link = snapshot / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, snapshot))
    plain.rmdir()
    return snapshot


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
