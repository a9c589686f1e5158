"""How long a batch will take, as it is written for people."""

import pytest

from cli.progress_line import duration, pace


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
