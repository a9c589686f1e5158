"""The native BiRefNet against its authors' implementation, for seeded weights: the same numbers come out."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from seeded_weights import seeded_image, seeded_state
from shared.errors import ModelUnfit
from worker.birefnet import from_state_dict
from worker.birefnet.config import BACKBONES, backbone_named
from worker.birefnet.model import BiRefNet
from worker.engines import weights

DATA = Path(__file__).resolve().parents[1] / "data"
SIZES = [(256, 256), (320, 224)]
TOLERANCE = 1e-4  # absolute, float32; 2e-6 is usual


def seeded(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Draw a state dict of these shapes."""
    return {name: torch.from_numpy(values) for name, values in seeded_state(shapes).items()}


@cache
def published_state(backbone: str) -> dict[str, Tensor]:
    """Draw the weights that the golden files were made with."""
    shapes = json.loads((DATA / f"keys_{backbone}.json").read_text())
    return seeded({name: tuple(shape) for name, shape in shapes.items()})


@cache
def network(backbone: str, *, optimize: bool) -> nn.Module:
    """Build a network once for all tests."""
    return from_state_dict(published_state(backbone), optimize=optimize)


def golden(backbone: str, height: int, width: int) -> dict[str, NDArray[np.float32]]:
    """Read the authors' outputs."""
    with np.load(DATA / f"golden_{backbone}_{height}x{width}.npz") as arrays:
        return dict(arrays)


def logits(net: nn.Module, height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Run a network on the seeded image of that size."""
    with torch.inference_mode():
        result: NDArray[np.float32] = net(torch.from_numpy(seeded_image(height, width, seed))).numpy()
    return result


@pytest.mark.parametrize("backbone", ["swin_v1_t", "swin_v1_l"])
def test_logits_are_the_authors_own(backbone: str) -> None:
    """With the trained weights, users get exactly the masks that the model is known for."""
    for height, width in SIZES:
        ours = logits(network(backbone, optimize=True), height, width)
        check(ours, golden(backbone, height, width)["logits"], f"{height} x {width}")


@pytest.mark.parametrize("backbone", ["swin_v1_t", "swin_v1_l"])
def test_every_block_of_the_plain_network_computes_what_the_authors_block_does(backbone: str) -> None:
    """The fused network is compared with the plain one; and when a number is off, this says where."""
    plain = network(backbone, optimize=False)
    for height, width in SIZES:
        seen, expected = recorded(plain, height, width), golden(backbone, height, width)
        for name, theirs in expected.items():
            check(seen[name].numpy() if name == "logits" else thinned(seen[name], theirs.shape), theirs, name)


def check(ours: NDArray[np.float32], theirs: NDArray[np.float32], name: str) -> None:
    """Fail unless both have the same shape and values."""
    assert ours.shape == theirs.shape, name
    assert np.abs(ours - theirs).max() < TOLERANCE, name


def thinned(output: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what the golden files keep of a block's output: every eighth channel, larger maps thinned."""
    kept: NDArray[np.float32] = output[:, ::8].numpy()
    return kept if kept.shape == shape else kept[:, :, ::4, ::4]


def recorded(net: nn.Module, height: int, width: int) -> dict[str, Tensor]:
    """Run the plain network; return its logits, and every module's output, the backbone's by the pass."""
    seen: dict[str, Tensor] = {}
    passes = iter(("full", "half"))

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor):
            seen[name] = output
        elif name == "bb" and isinstance(output, list):
            which = next(passes)
            seen.update({f"bb.{which}.{number}": each for number, each in enumerate(output)})

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output))
        for name, module in net.named_modules()
    ]
    seen["logits"] = torch.from_numpy(logits(net, height, width))
    for hook in hooks:
        hook.remove()
    return seen


def test_bfloat16_changes_no_alpha_visibly() -> None:
    """The default where the hardware has it must not trade quality for speed."""
    half = from_state_dict(published_state("swin_v1_t"), dtype=torch.bfloat16)
    exact, fast = (
        1 / (1 + np.exp(-logits(net, 128, 128))) for net in (network("swin_v1_t", optimize=True), half)
    )
    assert np.abs(exact - fast).max() < 0.02
    assert np.abs(exact - fast).mean() < 0.002


@pytest.mark.parametrize("backbone", [backbone.name for backbone in BACKBONES])
def test_every_backbone_of_the_family_builds_and_loads_strictly(backbone: str) -> None:
    """A fine-tune of any of them loads, told by its tensors alone."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in BiRefNet(backbone_named(backbone)).state_dict().items()}
    # One value repeated: what is proven here are names and shapes.
    state = {
        name: torch.full((1,), 0.01).expand(shape) if shape else torch.tensor(0)
        for name, shape in shapes.items()
        if not name.endswith("relative_position_index")
    }
    net = from_state_dict(state, optimize=False)
    assert isinstance(net, BiRefNet)
    assert [block.attn.heads for block in (stage.blocks[0] for stage in net.bb.layers)] == list(  # type: ignore[union-attr, index]
        backbone_named(backbone).heads
    )


def test_the_published_names_are_exactly_ours() -> None:
    """Strict loading of a published checkpoint is itself a test of the structure."""
    for backbone in ("swin_v1_t", "swin_v1_l"):
        published = json.loads((DATA / f"keys_{backbone}.json").read_text())
        with torch.device("meta"):
            ours = BiRefNet(backbone_named(backbone)).state_dict()
        assert {name: list(tensor.shape) for name, tensor in ours.items()} == published


def test_two_photos_in_a_batch_are_two_single_photos() -> None:
    """A batch must not let one photo leak into another."""
    net = network("swin_v1_t", optimize=True)
    images = [seeded_image(128, 160, seed) for seed in (1, 2)]
    with torch.inference_mode():
        together = net(torch.from_numpy(np.concatenate(images)))
        alone = torch.cat([net(torch.from_numpy(image)) for image in images])
    assert (together - alone).abs().max() < TOLERANCE


def test_the_size_may_change_from_photo_to_photo() -> None:
    """One process serves portrait and landscape, and gives each what a new process would."""
    net = network("swin_v1_t", optimize=True)
    first = logits(net, 96, 224)
    logits(net, 256, 64)
    assert np.array_equal(logits(net, 96, 224), first)


def test_a_checkpoint_of_something_else_is_refused_in_words() -> None:
    """A wrong file must not end in a stack trace, or in a network with random weights."""
    state = published_state("swin_v1_t")
    with pytest.raises(ModelUnfit, match="not a BiRefNet"):
        from_state_dict({"weight": torch.zeros(3)})
    incomplete = {name: tensor for name, tensor in state.items() if not name.startswith("decoder.ipt_blk3")}
    with pytest.raises(ModelUnfit, match="ipt_blk3"):
        from_state_dict(incomplete)
    wrong = state | {"decoder.conv_out1.0.weight": torch.zeros(1, 7, 1, 1)}
    with pytest.raises(ModelUnfit, match="conv_out1"):
        from_state_dict(wrong)


def test_two_files_of_the_same_tensors_are_refused(tmp_path: Path) -> None:
    """One of them would win by its name, and nobody would know which."""
    for name in ("general", "portrait"):
        save_file({"bb.weight": torch.zeros(3)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelUnfit, match="same tensors"):
        weights.read(tmp_path, lambda _: None)
    save_file({"bb.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    assert weights.read(tmp_path, lambda _: None)["bb.weight"].sum() == 3


def test_the_native_path_imports_torch_and_nothing_of_its_ecosystem() -> None:
    """A broken torchvision, the commonest trouble there is, must not matter."""

    heavy = ["torchvision", "transformers", "timm", "kornia", "einops", "skimage"]
    code = f"import sys, worker.birefnet; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
