"""Rate and remaining time of a batch, formatted for people."""

import pytest

from cli.progress_line import format_duration, format_pace


@pytest.mark.parametrize(
    ("images", "seconds", "remaining", "text"),
    [
        (10, 5.0, 30, "2.0 images/s, 15 s left"),
        (4, 10.0, 80, "2.5 s per image, 3 min 20 s left"),
        (1, 5.0, 1500, "5.0 s per image, 2 h 5 min left"),
        (3, 0.0, 0, "3000.0 images/s, 0 s left"),
    ],
)
def test_the_pace_has_rate_and_remaining_time(images: int, seconds: float, remaining: int, text: str) -> None:
    """The unit of the rate depends on its size."""
    assert format_pace(images, seconds, remaining) == text


def test_a_duration_never_has_sixty_seconds() -> None:
    """Seconds are rounded before they are split into minutes."""
    assert format_duration(59.6) == "1 min 0 s"
    assert format_duration(3599.7) == "1 h 0 min"
