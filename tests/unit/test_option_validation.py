"""Options that no declaration can refuse, before they reach a worker."""

import pickle

import pytest
from PIL import ImageColor

from shared.errors import InvalidOption
from shared.messages import RemovalJob, Remove
from shared.option_validation import COLOUR_NAMES, validate_options
from shared.options import RemovalOptions

MESSAGE_BYTES = 4096  # what a pipe takes whole, so that sending never waits (POSIX: PIPE_BUF)


@pytest.mark.parametrize("name", ["x" * 1000, "xy", "red " * 20, "é"])
def test_no_colour_has_a_name_like_this(name: str) -> None:
    """A megabyte of letters would be passed to the worker, and back in its error."""
    with pytest.raises(InvalidOption):
        validate_options(RemovalOptions(background=name))


@pytest.mark.parametrize("colour", ["#fff", "#FFFFFF", "#ffffffff", "#FFFFFFFF", "White"])
def test_an_opaque_colour_is_one_however_it_is_written(colour: str) -> None:
    """A jpeg over it would be refused, though nothing shines through."""
    validate_options(RemovalOptions(format="jpeg", background=colour))
    with pytest.raises(InvalidOption, match="opaque"):
        validate_options(RemovalOptions(format="jpeg", background="#FFFFFFFE"))


def test_every_colour_that_is_accepted_is_one_to_the_worker() -> None:
    """A photo must not wait in the queue to be refused for its background, nor miss one that there is."""
    assert set(ImageColor.colormap) == COLOUR_NAMES
    for name in COLOUR_NAMES:
        validate_options(RemovalOptions(background=name.upper()))


def test_the_longest_that_is_accepted_fits_into_one_message() -> None:
    """A longer one could be cut in two by a worker's death, or make the server wait for a stopped one."""
    longest = RemovalOptions(
        background=max(COLOUR_NAMES, key=len), crop_margin=" " * 9 + "12345.123px" + " " * 9
    )
    validate_options(longest)
    job = RemovalJob(
        "bgremove_" + "0" * 32, "/" + "p" * 900, "/" + "p" * 900, longest, "/" + "b" * 900, "s" * 255
    )
    assert len(pickle.dumps(Remove(job))) < MESSAGE_BYTES
