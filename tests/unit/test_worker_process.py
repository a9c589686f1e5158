"""What the supervisor hears of a worker that says much at once."""

from shared.messages import Event, Failed, Loading, Progress
from supervisor.worker_process import _without_overtaken


def test_of_each_load_and_removal_only_the_last_progress_is_passed_on() -> None:
    """In the order in which the last words of each were said; what is no progress is never left out."""
    failed = Failed("a", "damaged_image", "It is damaged.")
    said: list[Event] = [
        Loading(1, "Loading"),
        Progress("a", 5, "Decoding"),
        Progress("b", 5, "Decoding"),
        Loading(2, "Loading"),
        Progress("a", 45, "Removing"),
        failed,
        failed,
        Progress("b", 45, "Removing"),
    ]
    kept = [
        Loading(2, "Loading"),
        Progress("a", 45, "Removing"),
        failed,
        failed,
        Progress("b", 45, "Removing"),
    ]
    assert _without_overtaken(said) == kept
