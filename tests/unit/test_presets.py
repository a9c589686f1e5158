"""Presets: the built-in ones, and those of a TOML file."""

from pathlib import Path

import pytest

from shared.option_validation import validate_options
from shared.options import RemovalOptions
from shared.presets import BUILT_IN, InvalidPresets, load_presets


def test_the_built_in_presets_are_valid() -> None:
    """A request that names one would be refused otherwise."""
    for preset in load_presets(None).values():
        validate_options(RemovalOptions(**preset))


def test_a_file_adds_presets_and_replaces_built_in_ones(tmp_path: Path) -> None:
    """Every value arrives with its type."""
    path = tmp_path / "presets.toml"
    path.write_bytes(
        b"\xef\xbb\xbf"  # as editors on Windows begin a file
        b'[shop]\nformat = "webp"\nquality = 80\ncrop = true\nbackground = "#f8f8f8"\n'
        b'[avatar]\ncanvas = "4:5"\n'
    )
    presets = load_presets(path)
    assert presets["shop"] == {"format": "webp", "quality": 80, "crop": True, "background": "#f8f8f8"}
    assert presets["avatar"] == {"canvas": "4:5"}
    assert presets["marketplace"] == BUILT_IN["marketplace"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[a]\ncolour = "red"', "preset 'a': option 'colour' is not known; the options are model, "),
        ('[a]\nquality = "90"', "preset 'a': option 'quality' must be a whole number from 1 to 100"),
        ("[a]\nquality = true", "option 'quality' must be"),
        ("[a]\nquality = 101", "option 'quality' must be"),
        ('[a]\ncrop = "yes"', "option 'crop' must be true or false"),
        ('[a]\nformat = "gif"', "option 'format' must be one of png, webp, jpeg"),
        ("[a]\nformat = []", "option 'format' must be one of"),
        ("[a]\nmargin = 20", "option 'margin' must be text"),
        ('[a]\nscale = "5%"', "preset 'a': The field 'scale' is not valid: write a percentage"),
        ('[a]\nbackground = "blurple"', "The field 'background' is not valid"),
        ('[a]\nbackground_file = "beach.jpg"', "option 'background_file' is not supported in a preset"),
        ('[a]\npreset = "avatar"', "option 'preset' is not known"),
        ('["a b"]\ncrop = true', "preset 'a b': a preset's name has"),
        ("quality = 90", "preset 'quality': write a table"),
        ("[a\n", "is not valid TOML"),
        ("\udcff", "is not valid TOML"),
    ],
)
def test_an_invalid_file_is_refused_with_the_place(tmp_path: Path, text: str, problem: str) -> None:
    """The operator has to find it in a file of many."""
    path = tmp_path / "presets.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidPresets) as error:
        load_presets(path)
    assert str(error.value).startswith(str(path))
    assert problem in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A wrong path would otherwise be a service without its presets."""
    with pytest.raises(InvalidPresets, match="cannot be read: No such file"):
        load_presets(tmp_path / "none.toml")
