"""The models that can be downloaded: the BiRefNet family, and whatever was made from it."""

import re
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UnknownModel

# (width, height) in pixels; or the sides that are allowed, for a network that takes photos as they are.
InputSize = tuple[int, int] | range

DEFAULT_MODEL = "ZhengPeng7/BiRefNet"
DEFAULT_REVISION = "main"
SQUARE = (1024, 1024)
# As strict as the hub itself, since it becomes part of file names.
HUB_ID = re.compile(r"(?!.*(--|\.\.))(?=.{3,96}$)\w[\w.-]*/(?P<name>\w[\w.-]*)(?<![.-])", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model. Sizes are in pixels, (width, height).

    `repo_id` is its name on the hub, None for a model that lies in `folder` on this machine.
    """

    name: str
    repo_id: str | None
    input_size: InputSize = SQUARE
    licence: str | None = None
    purpose: str | None = None
    folder: Path | None = None

    @property
    def model_id(self) -> str:
        """What clients know the model by; never a path of this machine."""
        return self.repo_id or self.name


def _birefnet(suffix: str, input_size: InputSize, purpose: str) -> ModelSpec:
    name = f"BiRefNet{suffix}"
    return ModelSpec(name, f"ZhengPeng7/{name}", input_size, "MIT", purpose)


CATALOG = (
    _birefnet("", SQUARE, "general"),
    _birefnet("_HR", (2048, 2048), "general, high resolution"),
    _birefnet("_dynamic", range(256, 2304 + 1, 32), "general, any size"),
    _birefnet("_512x512", (512, 512), "general, fast"),
    _birefnet("-matting", SQUARE, "trimap-free matting"),
    _birefnet("_HR-matting", (2048, 2048), "trimap-free matting, high resolution"),
    _birefnet("-portrait", SQUARE, "people"),
    _birefnet("_lite", SQUARE, "general, small"),
    _birefnet("_lite-2K", (2560, 1440), "general, small, high resolution"),
)


def find_model(wanted: str) -> ModelSpec:
    """Return the model of a name in the catalogue (in any case), a hub id "owner/name", or a local folder.

    A folder is told by its beginning: "/", "./", "../", "~" or a drive's letter. A fine-tune or a folder
    whose name begins with one of the catalogue's has that model's input size. Raises UnknownModel.
    """
    for spec in CATALOG:
        if wanted.lower() in (spec.name.lower(), spec.model_id.lower()):
            return spec
    if Path(wanted).is_absolute() or wanted.startswith((".", "~")):
        return _in_folder(wanted)
    match = HUB_ID.fullmatch(wanted)
    if match:
        return ModelSpec(match["name"], wanted, _input_size(match["name"]))
    names = ", ".join(spec.name for spec in CATALOG)
    raise UnknownModel(f"There is no model {wanted!r}: name one of {names}, a hub id or a folder.")


def _in_folder(wanted: str) -> ModelSpec:
    try:
        folder = Path(wanted).expanduser().resolve()
        there = folder.is_dir()
    except (OSError, RuntimeError):  # RuntimeError: "~" of a user that there isn't
        there = False
    if not there:
        raise UnknownModel(f"There is no folder {wanted}.")
    return ModelSpec(folder.name, None, _input_size(folder.name), folder=folder)


def _input_size(name: str) -> InputSize:
    """Return the input size of the model that another one seems to be made from, by its name."""
    kin = [spec for spec in CATALOG if name.lower().startswith(spec.name.lower())]
    return max(kin, key=lambda spec: len(spec.name)).input_size if kin else SQUARE


def fit_input_size(wanted: InputSize, photo: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) in pixels at which a network sees a photo of that (width, height).

    For a range it is the photo's own size, each side rounded to the range's step. A photo that is too large
    or too small is scaled to the range's ends first, in its own proportions as far as both ends allow.
    """
    if isinstance(wanted, tuple):
        return wanted
    least, most = wanted[0], wanted[-1]
    scale = max(min(1, most / max(photo)), least / min(photo))
    width, height = (round(side * scale / wanted.step) * wanted.step for side in photo)
    return min(max(width, least), most), min(max(height, least), most)
