"""Error hierarchy: codes, HTTP statuses and default messages."""

import subprocess
import sys
from pathlib import Path

from shared import errors
from shared.errors import BgremoveError, NotAnImage, error_from

ROOT = Path(__file__).resolve().parents[2]

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BgremoveError)]


def test_every_error_is_rebuilt_from_its_code() -> None:
    """An error of the worker has the same code and status as one of the supervisor."""
    assert len(KINDS) > 20
    for kind in KINDS:
        again = error_from(kind.code, "sentence")
        assert (type(again).code, again.status, again.detail) == (kind.code, kind.status, "sentence")


def test_codes_are_unique_and_every_error_has_a_sentence() -> None:
    """Programs use the code, people the sentence."""
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert all(kind().detail.endswith(".") for kind in KINDS)


def test_the_docstring_lists_every_error() -> None:
    """The tree in the module docstring is the documentation."""
    tree = (errors.__doc__ or "").splitlines()
    for kind in KINDS:
        line = next(line for line in tree if f" {kind.__name__} " in f" {line} ")
        assert line.split()[-2:] == [str(kind.status), kind.code]


def test_an_unknown_code_is_an_internal_error() -> None:
    """Clients always get a documented code."""
    assert error_from("nonsense", "x").code == "internal_error"


def test_every_error_has_its_sentence_without_docstrings() -> None:
    """python -OO drops them: clients got an empty detail."""
    code = "from shared.errors import NotAnImage, BgremoveError as B; print(NotAnImage().detail, B().detail)"
    run = subprocess.run(
        [sys.executable, "-OO", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == f"{NotAnImage.default_detail} {BgremoveError.default_detail}"
    assert NotAnImage.default_detail
