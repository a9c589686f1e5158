"""The cache of downloaded models: what it lists, and what a deletion deletes."""

import json
import shutil
from pathlib import Path

import pytest

from shared.hub_cache import HubCache, list_repositories

COMMIT = "a" * 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache's folder; in its parent are files that are not the cache's."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def fill(root: Path, repo_id: str, revision: str = "main", commit: str = COMMIT) -> HubCache:
    """Put a complete model of 7 bytes into the cache."""
    cache = HubCache(root, repo_id)
    cache.blob("").mkdir(parents=True, exist_ok=True)
    cache.blob("etag").write_bytes(b"weights")
    cache.link(commit, "model.safetensors", "etag")
    cache.write_manifest(revision, commit, {"model.safetensors": "0" * 64}, code=False)
    return cache


def names(root: Path) -> set[str]:
    """Return the names of everything in the cache."""
    return {path.name for path in root.rglob("*")}


def test_a_deletion_deletes_every_revision_and_partial_file_of_one_repository(root: Path) -> None:
    """And returns what is free then."""
    fill(root, "me/shoes-2")
    others = names(root)
    cache = fill(root, "me/shoes")
    fill(root, "me/shoes", "refs/pr/1", "b" * 40)
    cache.partial("other").write_bytes(b"half")
    size_bytes = cache.size_bytes()
    assert size_bytes == 7 + 4 + 2 * 40, "a blob, a partial file, two refs"
    assert cache.delete() == size_bytes
    assert names(root) == others
    assert cache.read_manifest("main") is None
    assert cache.delete() == cache.size_bytes() == 0


def test_links_out_of_the_cache_are_deleted_and_what_they_lead_to_is_not(root: Path, tmp_path: Path) -> None:
    """Users move large files to another disk."""
    outside = tmp_path / "disk"
    outside.mkdir()
    (outside / "blob").write_bytes(b"weights")
    cache = fill(root, "me/shoes")
    cache.blob("etag").unlink()
    cache.blob("etag").symlink_to(outside / "blob")
    (cache.folder / "more").symlink_to(outside, target_is_directory=True)
    assert cache.delete() == 40
    cache.folder.symlink_to(outside, target_is_directory=True)
    assert cache.delete() == 0
    assert list(root.iterdir()) == [root / "records"]
    assert (outside / "blob").read_bytes() == b"weights"


def test_a_killed_deletion_leaves_no_model_and_the_next_deletion_removes_its_files(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is free at once, for a download that begins meanwhile."""
    cache = fill(root, "me/shoes")
    named = fill(root, "me/x.deleted")  # a repository may have such a name

    def die(path: Path) -> None:
        assert not cache.folder.exists()
        fill(root, "me/shoes")
        raise KeyboardInterrupt(path)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            cache.delete()
    manifest = named.read_manifest("main")
    assert cache.blob("etag").exists()
    assert len(list(root.glob(".*.deleted"))) == 1
    HubCache(root, "me/other").delete()
    assert not list(root.glob(".*.deleted"))
    assert manifest is not None
    assert named.is_intact(manifest)


def test_a_model_that_is_in_use_is_not_deleted_in_part(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows does not rename a folder with open files."""
    cache = fill(root, "me/shoes")

    def refuse(*_: object) -> None:
        raise PermissionError("used by another process")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        cache.delete()
    manifest = cache.read_manifest("main")
    assert manifest is not None
    assert cache.is_intact(manifest)


def test_two_deletions_at_the_same_time_both_succeed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a service and of the command line; each removes the leftovers of the other."""
    cache, other = fill(root, "me/shoes"), fill(root, "me/hats")
    rmtree = shutil.rmtree

    def race(path: Path) -> None:
        monkeypatch.setattr(shutil, "rmtree", rmtree)
        assert other.delete() > 0
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", race)
    assert cache.delete() > 0
    assert list(root.iterdir()) == [root / "records"]


def test_only_models_with_a_readable_manifest_and_a_snapshot_are_listed(root: Path) -> None:
    """One bad file must not hide the others, nor the whole list."""
    assert list_repositories(root) == []
    fill(root, "me/shoes")
    fill(root, "me/shoes", "v2")
    fill(root, "me-/hats")
    shutil.rmtree(fill(root, "me/gone").folder)
    record = json.loads((root / "records" / "models--me--shoes@main.json").read_text())
    for number, fields in enumerate([{"repo_id": "shoes"}, {"repo_id": 3}, {"commit": 4}]):
        (root / "records" / f"models--bad--{number}@main.json").write_text(json.dumps(record | fields))
    (root / "records" / "models--torn--record@main.json").write_text("{")
    assert list_repositories(root) == ["me-/hats", "me/shoes"]
