"""Option descriptions, from which user interfaces are generated."""

from dataclasses import dataclass, field
from typing import Literal

from shared.option_descriptions import describe_fields, describe_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """An option of each kind."""

    shape: Literal["round", "square"] = field(default="round", metadata={"help": "the outline"})
    crop: bool = field(default=False, metadata={"help": "cut to the subject"})
    quality: int = field(default=90, metadata={"help": "how good", "minimum": 1, "maximum": 100})
    max_size: int | None = field(default=None, metadata={"help": "longest side", "minimum": 16, "unit": "px"})
    paper: str | None = field(default=None, metadata={"help": "the background", "kind": "colour"})
    note: str = field(default="", metadata={"help": "a note"})
    finish: Literal["matt", "gloss"] | None = field(default=None, metadata={"help": "the surface"})


def test_descriptions_come_from_types_and_metadata() -> None:
    """A client can offer an option without knowing its name."""
    described = {option.name: option for option in describe_fields(Everything)}
    assert {name: option.kind for name, option in described.items()} == {
        "shape": "choice",
        "crop": "boolean",
        "quality": "integer",
        "max_size": "integer",
        "paper": "colour",
        "note": "text",
        "finish": "choice",
    }
    assert described["shape"].choices == ("round", "square")
    assert described["finish"].choices == ("matt", "gloss")
    assert (described["quality"].default, described["quality"].minimum, described["quality"].maximum) == (
        90,
        1,
        100,
    )
    assert (described["max_size"].default, described["max_size"].minimum, described["max_size"].unit) == (
        None,
        16,
        "px",
    )
    assert described["max_size"].maximum is None


def test_every_removal_option_has_a_help_text() -> None:
    """The page and the command line show it."""
    assert all(len(option.help) > 20 for option in describe_options())
