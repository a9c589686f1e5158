"""Cross-field validation of removal options."""

import pickle

import pytest
from PIL import ImageColor

from shared.colours import COLOUR_NAMES, is_opaque
from shared.errors import InvalidOption
from shared.messages import RemovalJob, Remove
from shared.option_validation import validate_options
from shared.options import RemovalOptions

MESSAGE_BYTES = 4096  # PIPE_BUF: writes up to this size are atomic (POSIX)


@pytest.mark.parametrize("name", ["x" * 1000, "xy", "red " * 20, "é"])
def test_unknown_colour_names_are_invalid(name: str) -> None:
    """A text of any length would be passed to the worker, and back in its error."""
    with pytest.raises(InvalidOption):
        validate_options(RemovalOptions(background=name))


@pytest.mark.parametrize("colour", ["#fff", "#FFFFFF", "#ffffffff", "#FFFFFFFF", "White"])
def test_opaque_colours_are_detected_in_every_notation(colour: str) -> None:
    """remove.bg's automatic format depends on it."""
    assert is_opaque(colour)
    assert not is_opaque("#FFFFFFFE")


def test_the_colour_names_are_those_of_pillow() -> None:
    """A colour that the worker cannot use must be refused before the job is queued."""
    assert set(ImageColor.colormap) == COLOUR_NAMES
    for name in COLOUR_NAMES:
        validate_options(RemovalOptions(background=name.upper()))


def test_the_longest_options_fit_into_one_message() -> None:
    """A longer one could be truncated by a worker's death, or block the supervisor."""
    longest = RemovalOptions(
        background=max(COLOUR_NAMES, key=len),
        margin="12345.123px " * 4,
        roi="12345.123px " * 4,
        position="99.123% 99.123%",
        canvas="99999x99999",
    )
    validate_options(longest)
    job = RemovalJob(
        "bgremove_" + "0" * 32, "/" + "p" * 900, "/" + "p" * 900, longest, "/" + "b" * 900, "s" * 255
    )
    assert len(pickle.dumps(Remove(job))) < MESSAGE_BYTES
