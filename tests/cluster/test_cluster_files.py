"""Which photos `remove --cluster` hands out, and under which names their results go."""

import os
from pathlib import Path

import fsspec
import pytest

from cli.cluster_files import PhotoFolder
from cli.command_errors import CommandFailed
from cli.outputs import Naming
from worker.cluster.file_access import read_file, write_file

pytestmark = pytest.mark.cluster


def make_files(folder: Path, *names: str) -> None:
    """Create empty files, with their folders."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def listed(source: Path, target: Path, *, recursive: bool, suffix: str | None = None) -> dict[str, str]:
    """Return the results' paths by those of the photos, relative to their folders."""
    photos = PhotoFolder(str(source), str(target), Naming({}, None, suffix))
    return {
        str(Path(photo.source).relative_to(source)): str(Path(photo.target).relative_to(target))
        for photo in photos.iterate_photos(recursive=recursive)
    }


def test_a_folder_is_listed_as_by_the_local_batch(tmp_path: Path) -> None:
    """Hidden files, linked folders, other files and earlier results are no photos."""
    make_files(tmp_path, "a.heic", "a.jpg", "b.PNG", "b.txt", ".c.jpg", "sub/a.jpg", ".hidden/d.jpg")
    make_files(tmp_path, "out/b-cutout.png", "out/sub/a-cutout.png")
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    top = {"a.heic": "a.heic-cutout.png", "a.jpg": "a.jpg-cutout.png", "b.PNG": "b-cutout.png"}
    assert listed(tmp_path, tmp_path / "out", recursive=False) == top
    everything = top | {"sub/a.jpg": "sub/a-cutout.png"}
    assert listed(tmp_path, tmp_path / "out", recursive=True) == everything
    unnamed = listed(tmp_path, tmp_path / "out", recursive=False, suffix="")
    assert unnamed["b.PNG"] == "b.png"


def test_a_photo_is_never_replaced_by_its_result(tmp_path: Path) -> None:
    """Neither in its folder, nor where it is named itself."""
    make_files(tmp_path, "a.png")
    with pytest.raises(CommandFailed, match="another folder"):
        listed(tmp_path, tmp_path, recursive=False)
    photos = PhotoFolder(str(tmp_path / "a.png"), f"file://{tmp_path}", Naming({}, None, ""))
    with pytest.raises(CommandFailed, match="overwrite"):
        list(photos.iterate_photos(recursive=False))
    with pytest.raises(CommandFailed, match="no file"):
        listed(tmp_path / "missing", tmp_path, recursive=False)


def test_a_result_older_than_its_photo_is_not_up_to_date(tmp_path: Path) -> None:
    """A photo that was edited is processed again."""
    make_files(tmp_path, "in/a.jpg")
    (photo,) = PhotoFolder(f"file://{tmp_path}/in", str(tmp_path / "out"), Naming({})).iterate_photos(
        recursive=False
    )
    assert not photo.up_to_date
    write_file(photo.target, b"result")
    assert photo.up_to_date
    os.utime(tmp_path / "out" / "a-cutout.png", (1, 1))
    assert not photo.up_to_date
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a-cutout.png"]


def test_a_url_is_listed_and_written_by_fsspec() -> None:
    """As an object store, which has no folders of its own."""
    system = fsspec.filesystem("memory")
    for name in ("a.jpg", "a.png", "sub/b.jpg", "out/a.png"):
        system.pipe_file(f"/cluster-files/{name}", b"photo")
    try:
        folder = PhotoFolder("memory://cluster-files/", "memory://cluster-files/out", Naming({}))
        photos = {photo.source: photo for photo in folder.iterate_photos(recursive=True)}
        root = "memory://cluster-files"
        assert {photo.source: photo.target for photo in photos.values()} == {
            f"{root}/a.jpg": f"{root}/out/a.jpg-cutout.png",
            f"{root}/a.png": f"{root}/out/a.png-cutout.png",
            f"{root}/sub/b.jpg": f"{root}/out/sub/b-cutout.png",
        }
        photo = photos[f"{root}/a.jpg"]
        assert not photo.up_to_date
        write_file(photo.target, read_file(photo.source))
        assert photo.up_to_date
    finally:
        system.rm("/cluster-files", recursive=True)


def test_local_names_are_not_parsed_as_urls(tmp_path: Path) -> None:
    """Two colons chain file systems in fsspec's URLs."""
    path = tmp_path / "a::b#c%20*.png"
    write_file(f"file://{path}", b"result")
    assert read_file(str(path)) == path.read_bytes() == b"result"
