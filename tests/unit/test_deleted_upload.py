"""Uploads whose files are deleted while they are received, as the shutdown does."""

from pathlib import Path

from supervisor.api.linkable_file import MEMORY_BYTES, LinkableFile


def test_a_file_that_is_gone_can_be_saved_and_closed(tmp_path: Path) -> None:
    """Closing it failed: an upload during the shutdown was status 500, with a traceback."""
    content = b"x" * (MEMORY_BYTES + 1)
    file = LinkableFile(tmp_path / "incoming")
    file.write(content)
    for path in (tmp_path / "incoming").iterdir():
        path.unlink()
    file.save_as(tmp_path / "photo")
    file.close()
    assert file.closed
    assert (tmp_path / "photo").read_bytes() == content
