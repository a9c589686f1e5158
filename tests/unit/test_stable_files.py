"""When a file counts as whole, and how long a batch will take."""

import pytest

from cli.progress_line import duration, pace
from cli.stable_files import Settling, Stamp


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


@pytest.mark.parametrize(
    ("photos", "seconds", "left", "said"),
    [
        (10, 5.0, 30, "2.0 photos/s, 15 s left"),
        (4, 10.0, 80, "2.5 s a photo, 3 min 20 s left"),
        (1, 5.0, 1500, "5.0 s a photo, 2 h 5 min left"),
        (3, 0.0, 0, "3000.0 photos/s, 0 s left"),
    ],
)
def test_the_pace_gives_rate_and_remaining_time(photos: int, seconds: float, left: int, said: str) -> None:
    """In the unit that reads well."""
    assert pace(photos, seconds, left) == said


def test_a_duration_never_has_sixty_seconds() -> None:
    """Rounding comes first."""
    assert duration(59.6) == "1 min 0 s"
    assert duration(3599.7) == "1 h 0 min"
