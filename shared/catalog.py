"""The catalogue of downloadable models: the BiRefNet family, and fine-tunes of it."""

import re
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UnknownModel

# (width, height) in pixels; or the allowed sides, for a network with a variable input size.
InputSize = tuple[int, int] | range

DEFAULT_MODEL = "ZhengPeng7/BiRefNet"
DEFAULT_REVISION = "main"
SQUARE = (1024, 1024)
# As strict as the hub itself: the id becomes part of file names.
HUB_ID = re.compile(r"(?!.*(--|\.\.))(?=.{3,96}$)\w[\w.-]*/(?P<name>\w[\w.-]*)(?<![.-])", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the catalogue. Sizes are in pixels, (width, height).

    `repo_id` is its name on the hub, None for a local model in `folder`.
    """

    name: str
    repo_id: str | None
    input_size: InputSize = SQUARE
    licence: str | None = None
    purpose: str | None = None
    folder: Path | None = None

    @property
    def model_id(self) -> str:
        """The model's id in the API; never a local path."""
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
    """Return the model for a name in the catalogue (in any case), a hub id "owner/name", or a local folder.

    A folder starts with "/", "./", "../", "~" or a drive letter. A fine-tune or a folder whose name starts
    with one of the catalogue's gets that model's input size. Raises UnknownModel.
    """
    for spec in CATALOG:
        if wanted.lower() in (spec.name.lower(), spec.model_id.lower()):
            return spec
    if Path(wanted).is_absolute() or wanted.startswith((".", "~")):
        return _find_folder(wanted)
    match = HUB_ID.fullmatch(wanted)
    if match:
        return ModelSpec(match["name"], wanted, _guess_input_size(match["name"]))
    names = ", ".join(spec.name for spec in CATALOG)
    raise UnknownModel(f"There is no model {wanted!r}: name one of {names}, a hub id or a folder.")


def _find_folder(wanted: str) -> ModelSpec:
    try:
        folder = Path(wanted).expanduser().resolve()
        exists = folder.is_dir()
    except (OSError, RuntimeError):  # RuntimeError: "~" of an unknown user
        exists = False
    if not exists:
        raise UnknownModel(f"There is no folder {wanted}.")
    return ModelSpec(folder.name, None, _guess_input_size(folder.name), folder=folder)


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
