"""The native BiRefNet equals its authors' implementation, on seeded weights (golden files)."""

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
from worker.birefnet.config import BACKBONES, FIRST_TENSOR, find_backbone
from worker.birefnet.model import BiRefNet
from worker.engines import native_loader, weights

DATA = Path(__file__).resolve().parents[1] / "data"
SIZES = [(256, 256), (320, 224)]
TOLERANCE = 1e-4  # absolute, float32; 2e-6 is usual


def seeded(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return a seeded state dict of these shapes."""
    return {name: torch.from_numpy(values) for name, values in seeded_state(shapes).items()}


def ignore(_percent: float, _message: str) -> None:
    """Ignore a load's progress."""


@cache
def published_state(backbone: str) -> dict[str, Tensor]:
    """Return the weights of the golden files."""
    shapes = json.loads((DATA / f"keys_{backbone}.json").read_text())
    return seeded({name: tuple(shape) for name, shape in shapes.items()})


@cache
def network(backbone: str, *, optimize: bool) -> nn.Module:
    """Return a network, built once for all tests."""
    return from_state_dict(published_state(backbone), optimize=optimize)


def golden(backbone: str, height: int, width: int) -> dict[str, NDArray[np.float32]]:
    """Return the outputs of the authors' implementation."""
    with np.load(DATA / f"golden_{backbone}_{height}x{width}.npz") as arrays:
        return dict(arrays)


def logits(net: nn.Module, height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a network's logits of the seeded image of a size."""
    with torch.inference_mode():
        result: NDArray[np.float32] = net(torch.from_numpy(seeded_image(height, width, seed))).numpy()
    return result


@pytest.mark.parametrize("backbone", ["swin_v1_t", "swin_v1_l"])
def test_the_fused_networks_logits_equal_the_golden_files(backbone: str) -> None:
    """With trained weights, the mattes are therefore the authors' own."""
    for height, width in SIZES:
        ours = logits(network(backbone, optimize=True), height, width)
        check(ours, golden(backbone, height, width)["logits"], f"{height} x {width}")


@pytest.mark.parametrize("backbone", ["swin_v1_t", "swin_v1_l"])
def test_every_block_of_the_plain_network_equals_the_golden_files(backbone: str) -> None:
    """Locates the block of an error."""
    plain = network(backbone, optimize=False)
    for height, width in SIZES:
        outputs, expected = record_outputs(plain, height, width), golden(backbone, height, width)
        for name, theirs in expected.items():
            ours = outputs[name].numpy() if name == "logits" else subsample(outputs[name], theirs.shape)
            check(ours, theirs, name)


def check(ours: NDArray[np.float32], theirs: NDArray[np.float32], name: str) -> None:
    """Fail unless both have the same shape and values."""
    assert ours.shape == theirs.shape, name
    assert np.abs(ours - theirs).max() < TOLERANCE, name


def subsample(output: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the part of a block's output in the golden files: every eighth channel, and fewer pixels."""
    channels: NDArray[np.float32] = output[:, ::8].numpy()
    return channels if channels.shape == shape else channels[:, :, ::4, ::4]


def record_outputs(net: nn.Module, height: int, width: int) -> dict[str, Tensor]:
    """Return the plain network's logits and every module's output, the backbone's for both passes."""
    outputs: dict[str, Tensor] = {}
    passes = iter(("full", "half"))

    def record(name: str, output: object) -> None:
        if isinstance(output, Tensor):
            outputs[name] = output
        elif name == "bb" and isinstance(output, list):
            which = next(passes)
            outputs.update({f"bb.{which}.{number}": level for number, level in enumerate(output)})

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: record(name, output))
        for name, module in net.named_modules()
    ]
    outputs["logits"] = torch.from_numpy(logits(net, height, width))
    for hook in hooks:
        hook.remove()
    return outputs


def test_bfloat16_does_not_change_the_matte_visibly() -> None:
    """It is the default on hardware with native support."""
    half = from_state_dict(published_state("swin_v1_t"), dtype=torch.bfloat16)
    exact, fast = (
        1 / (1 + np.exp(-logits(net, 128, 128))) for net in (network("swin_v1_t", optimize=True), half)
    )
    assert np.abs(exact - fast).max() < 0.02
    assert np.abs(exact - fast).mean() < 0.002


@pytest.mark.parametrize("backbone", [backbone.name for backbone in BACKBONES])
def test_every_backbone_is_detected_from_its_tensors_and_loads_strictly(backbone: str) -> None:
    """So that a fine-tune of any of them loads."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in BiRefNet(find_backbone(backbone)).state_dict().items()}
    # Constant values: this test is about names and shapes.
    state = {
        name: torch.full((1,), 0.01).expand(shape) if shape else torch.tensor(0)
        for name, shape in shapes.items()
        if not name.endswith("relative_position_index")
    }
    net = from_state_dict(state, optimize=False)
    assert isinstance(net, BiRefNet)
    assert [block.attn.heads for block in (stage.blocks[0] for stage in net.bb.layers)] == list(  # type: ignore[union-attr, index]
        find_backbone(backbone).heads
    )


def test_tensor_names_and_shapes_equal_the_published_checkpoints() -> None:
    """Strict loading of a checkpoint is a test of the structure."""
    for backbone in ("swin_v1_t", "swin_v1_l"):
        published = json.loads((DATA / f"keys_{backbone}.json").read_text())
        with torch.device("meta"):
            ours = BiRefNet(find_backbone(backbone)).state_dict()
        assert {name: list(tensor.shape) for name, tensor in ours.items()} == published


def test_a_batch_equals_single_images() -> None:
    """Images of a batch must not influence each other."""
    net = network("swin_v1_t", optimize=True)
    images = [seeded_image(128, 160, seed) for seed in (1, 2)]
    with torch.inference_mode():
        together = net(torch.from_numpy(np.concatenate(images)))
        alone = torch.cat([net(torch.from_numpy(image)) for image in images])
    assert (together - alone).abs().max() < TOLERANCE


def test_the_input_size_may_change_between_passes() -> None:
    """Cached window partitions must not leak between sizes."""
    net = network("swin_v1_t", optimize=True)
    first = logits(net, 96, 224)
    logits(net, 256, 64)
    assert np.array_equal(logits(net, 96, 224), first)


def test_an_unfitting_checkpoint_is_rejected_with_the_reason() -> None:
    """Not with a stack trace, nor with random weights."""
    state = published_state("swin_v1_t")
    unfit: list[dict[str, tuple[int, ...]]] = [
        {"weight": (3,)},
        {FIRST_TENSOR: (96,)},
        {FIRST_TENSOR: (96, 3, 4, 4)},
    ]
    for shapes in unfit:
        with pytest.raises(ModelUnfit, match=r"not a BiRefNet .* tensor bb\."):
            from_state_dict(seeded(shapes))
    backbone = {name: tensor for name, tensor in state.items() if name.startswith("bb.")}
    with pytest.raises(ModelUnfit, match="squeeze_module") as caught:
        from_state_dict(backbone)
    assert len(caught.value.detail) < 400, "not a line for each of hundreds of tensors"
    incomplete = {name: tensor for name, tensor in state.items() if not name.startswith("decoder.ipt_blk3")}
    with pytest.raises(ModelUnfit, match="ipt_blk3"):
        from_state_dict(incomplete)
    wrong = state | {"decoder.conv_out1.0.weight": torch.zeros(1, 7, 1, 1)}
    with pytest.raises(ModelUnfit, match="conv_out1"):
        from_state_dict(wrong)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "state_dict.", "model._orig_mod."])
def test_a_common_prefix_of_the_tensors_names_is_ignored(prefix: str) -> None:
    """DataParallel, torch.compile and training frameworks put one before them."""
    state = {name: torch.full((1,), 0.01).expand(t.shape) for name, t in published_state("swin_v1_t").items()}
    net = from_state_dict({prefix + name: tensor for name, tensor in state.items()}, optimize=False)
    assert isinstance(net, BiRefNet)
    with pytest.raises(ModelUnfit, match="loss"):
        from_state_dict({prefix + name: tensor for name, tensor in state.items()} | {"loss": torch.zeros(1)})


def test_a_single_file_is_loaded_as_a_folder_is(tmp_path: Path) -> None:
    """By the native loader, whatever its name."""
    save_file(published_state("swin_v1_t"), tmp_path / "shoes.safetensors")
    net = native_loader.load(tmp_path / "shoes.safetensors", torch.device("cpu"), torch.float32, ignore)
    assert np.array_equal(logits(net, 64, 64), logits(network("swin_v1_t", optimize=True), 64, 64))
    (tmp_path / "shoes.safetensors").write_bytes(b"GIF89a")
    with pytest.raises(ModelUnfit, match="damaged"):
        native_loader.load(tmp_path / "shoes.safetensors", torch.device("cpu"), torch.float32, ignore)


def test_two_files_with_the_same_tensors_are_rejected(tmp_path: Path) -> None:
    """The choice would depend on their names."""
    for name in ("general", "portrait"):
        save_file({"bb.weight": torch.zeros(3)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelUnfit, match="same tensors"):
        weights.read(tmp_path, lambda _: None)
    save_file({"bb.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    assert weights.read(tmp_path, lambda _: None)["bb.weight"].sum() == 3
    assert weights.read(tmp_path / "portrait.safetensors", lambda _: None)["bb.weight"].sum() == 0


def test_the_native_loader_imports_torch_without_its_ecosystem() -> None:
    """A torchvision that does not match torch is a common fault."""

    heavy = ["torchvision", "transformers", "timm", "kornia", "einops", "skimage"]
    code = f"import sys, worker.birefnet; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
