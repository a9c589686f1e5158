"""When a file counts as whole."""

from cli.watch import Settling, Stamp


def test_a_file_settles_when_it_has_not_changed_for_the_time() -> None:
    """Each change begins the wait anew, also one that leaves the size as it was."""
    settling = Settling(settle_s=1.0)
    assert settling.look(0.0, {"a": Stamp(10, 1)}) == []
    assert settling.look(0.9, {"a": Stamp(10, 1)}) == []
    assert settling.look(1.0, {"a": Stamp(10, 1)}) == ["a"]
    assert settling.look(1.5, {"a": Stamp(10, 2)}) == []
    assert settling.look(2.4, {"a": Stamp(10, 2)}) == []
    assert settling.look(2.5, {"a": Stamp(10, 2)}) == ["a"]


def test_a_file_that_went_and_came_again_waits_anew() -> None:
    """It may be another one under the same name."""
    settling = Settling(settle_s=1.0)
    settling.look(0.0, {"a": Stamp(10, 1)})
    settling.look(0.5, {})
    assert settling.look(1.0, {"a": Stamp(10, 1)}) == []


def test_an_empty_file_never_settles() -> None:
    """Programs make the name first, and write later."""
    settling = Settling(settle_s=1.0)
    settling.look(0.0, {"a": Stamp(0, 1)})
    assert settling.look(100.0, {"a": Stamp(0, 1)}) == []
