"""Uploaded files that can be linked into a job's folder."""

import os
from pathlib import Path

import pytest

from supervisor.api.linkable_file import MEMORY_BYTES, LinkableFile

LARGE = b"photo" * MEMORY_BYTES


def test_a_large_file_is_linked_and_outlives_its_upload(tmp_path: Path) -> None:
    """Copied, each photo would be written to the disk twice."""
    target = tmp_path / "source"
    with LinkableFile(tmp_path / "incoming") as file:
        file.write(LARGE)
        file.save_as(target)
        assert target.stat().st_nlink == 2
    assert not list((tmp_path / "incoming").iterdir())
    assert target.read_bytes() == LARGE


def test_a_small_file_never_comes_to_the_disk_before_it_is_saved(tmp_path: Path) -> None:
    """Most photos of a phone's camera are small enough when they are refused for another reason."""
    with LinkableFile(tmp_path / "incoming") as file:
        file.write(b"photo")
        assert not (tmp_path / "incoming").exists()
        file.save_as(tmp_path / "source")
    assert (tmp_path / "source").read_bytes() == b"photo"


def test_without_links_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have none."""

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with LinkableFile(tmp_path / "incoming") as file:
        file.write(LARGE)
        file.save_as(tmp_path / "source")
    assert (tmp_path / "source").read_bytes() == LARGE


def test_the_folder_may_have_been_deleted(tmp_path: Path) -> None:
    """Cleaners of temporary folders do that; every large upload failed until a restart."""
    folder = tmp_path / "deleted" / "incoming"
    with LinkableFile(folder) as file:
        file.write(LARGE)
        file.seek(0)
        assert file.read() == LARGE
