"""How options are described for those who offer them."""

from dataclasses import dataclass, field
from typing import Literal

from shared.options import declared_options, option_fields


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


def test_the_type_and_the_metadata_say_it_all() -> None:
    """A client that has never heard of an option can offer it all the same."""
    told = {option.name: option for option in option_fields(Everything)}
    assert {name: option.kind for name, option in told.items()} == {
        "shape": "choice",
        "crop": "boolean",
        "quality": "integer",
        "max_size": "integer",
        "paper": "colour",
        "note": "text",
        "finish": "choice",
    }
    assert told["shape"].choices == ("round", "square")
    assert told["finish"].choices == ("matt", "gloss")
    assert (told["quality"].default, told["quality"].minimum, told["quality"].maximum) == (90, 1, 100)
    assert (told["max_size"].default, told["max_size"].minimum, told["max_size"].unit) == (None, 16, "px")
    assert told["max_size"].maximum is None


def test_every_option_of_a_removal_has_its_help() -> None:
    """The page and the command line show it."""
    assert all(len(option.help) > 20 for option in declared_options())
