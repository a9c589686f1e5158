"""The stable-file detector of `remove --watch`."""

from cli.watch import FileSignature, StableFileDetector


def test_a_file_is_stable_once_it_has_not_changed_for_the_settle_time() -> None:
    """Each change restarts the wait, also one that keeps the size."""
    detector = StableFileDetector(settle_s=1.0)
    assert detector.update(0.0, {"a": FileSignature(10, 1)}) == []
    assert detector.update(0.9, {"a": FileSignature(10, 1)}) == []
    assert detector.update(1.0, {"a": FileSignature(10, 1)}) == ["a"]
    assert detector.update(1.5, {"a": FileSignature(10, 2)}) == []
    assert detector.update(2.4, {"a": FileSignature(10, 2)}) == []
    assert detector.update(2.5, {"a": FileSignature(10, 2)}) == ["a"]


def test_a_file_that_was_deleted_and_created_again_waits_again() -> None:
    """It may be another file of the same name."""
    detector = StableFileDetector(settle_s=1.0)
    detector.update(0.0, {"a": FileSignature(10, 1)})
    detector.update(0.5, {})
    assert detector.update(1.0, {"a": FileSignature(10, 1)}) == []


def test_an_empty_file_is_never_stable() -> None:
    """Programs create a file first and write later."""
    detector = StableFileDetector(settle_s=1.0)
    detector.update(0.0, {"a": FileSignature(0, 1)})
    assert detector.update(100.0, {"a": FileSignature(0, 1)}) == []
