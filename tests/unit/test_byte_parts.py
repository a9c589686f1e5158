"""Contents in parts for Ray's messages."""

import random

import pytest

from worker.cluster.byte_parts import MAX_PARTS, PART_BYTES, join_parts, split_bytes

WHOLE = MAX_PARTS * PART_BYTES


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, WHOLE, WHOLE + 1])
def test_contents_are_the_same_after_the_journey(size: int) -> None:
    """In parts that Ray takes into its messages, or whole where they would be too many."""
    content = random.Random(size).randbytes(size)
    parts = split_bytes(content)
    assert join_parts(parts) == content
    assert 1 <= len(parts) <= MAX_PARTS
    assert len(parts) == 1 or max(map(len, parts)) <= PART_BYTES
