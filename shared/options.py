"""The options of a removal, declared once for HTTP, the command line and the page."""

from dataclasses import Field, dataclass, field, fields
from typing import Literal, get_args, get_type_hints

ModelChoice = Literal["auto", "birefnet", "builtin"]
OutputChoice = Literal["cutout", "mask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalOptions:
    """What a client may ask of a removal; every default is what most people want."""

    model: ModelChoice = field(
        default="auto",
        metadata={"help": "which model: auto takes BiRefNet when it is loaded or on disk, else the built-in"},
    )
    output: OutputChoice = field(
        default="cutout",
        metadata={"help": "cutout: the photo with a transparent background; mask: the alpha alone, in grey"},
    )


def option_fields() -> list[tuple[Field[str], type]]:
    """Return each option's dataclass field beside its resolved type, in declared order."""
    types = get_type_hints(RemovalOptions)
    return [(option, types[option.name]) for option in fields(RemovalOptions)]


def choices_of(kind: type) -> tuple[str, ...]:
    """Return the values that an option of this type may take."""
    return get_args(kind)
