"""When a model counts as being there, and how it gets there without a network."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.catalog import find_model
from shared.errors import DownloadDamaged, ModelUnusable, StorageFailed
from shared.hub_cache import HubCache, cache_root, select_files, select_weights
from supervisor.models.store import ModelStore, import_folder
from tests.disk_record import DiskRecord
from tests.hub import WEIGHTS, weights

SPEC = find_model("BiRefNet")


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a model, and with what else people keep in folders."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(weights(50_000))
    (folder / "config.json").write_text("{}")
    (folder / "birefnet.py").write_text("")
    (folder / "notes.txt").write_text("private")
    return folder


def folder_of(store: ModelStore) -> Path | None:
    """Return the folder of the complete model, if there is one."""
    snapshot = store.find_snapshot()
    return snapshot.folder if snapshot else None


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "data", SPEC, "main", "native")


def test_an_imported_model_is_there_and_whole(source: Path, store: ModelStore, tmp_path: Path) -> None:
    """It is where a download would have put it, under a name of its own."""
    shown: list[float] = []
    assert store.find_snapshot() is None
    commit = import_folder(
        source, tmp_path / "data", SPEC, "main", lambda percent, _message: shown.append(percent)
    )
    folder = folder_of(store)
    assert folder is not None
    assert folder.name == commit
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, "config.json", "birefnet.py"}
    assert (folder / WEIGHTS).read_bytes() == (source / WEIGHTS).read_bytes()
    assert shown == sorted(shown)
    assert shown[-1] == 100
    assert not list((tmp_path / "data").rglob("*.incomplete"))
    assert import_folder(folder, tmp_path / "data", SPEC, "main", ignore) == commit
    assert ModelStore(tmp_path / "data", SPEC, "main", "transformers").find_snapshot()
    assert not ModelStore(tmp_path / "data", SPEC, "other", "native").find_snapshot()


def test_an_imported_file_is_on_the_disk_before_its_name_and_the_manifest_is_last(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut the service must not take a part of a model for the whole."""
    record = DiskRecord(monkeypatch)
    import_folder(source, tmp_path / "data", SPEC, "main", ignore)
    assert len(record.renamed) == 5, "three files, the manifest, the branch"
    assert record.renamed[3].endswith("@main.json")
    assert record.not_flushed == []


def test_without_links_the_files_themselves_are_shown(
    source: Path, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows lets only some users make links."""

    def refuse(*_: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    import_folder(source, tmp_path / "data", SPEC, "main", ignore)
    folder = folder_of(store)
    assert folder is not None
    assert not (folder / WEIGHTS).is_symlink()
    assert (folder / WEIGHTS).read_bytes() == (source / WEIGHTS).read_bytes()


def truncate(path: Path) -> None:
    os.truncate(path, 10)


def replace(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


HARM: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "replaced": replace,
    "deleted": Path.unlink,
    "touched": os.utime,
}


@pytest.mark.parametrize("harm", HARM)
def test_a_file_that_was_changed_makes_the_model_incomplete(
    source: Path, store: ModelStore, tmp_path: Path, harm: str
) -> None:
    """Loading it would crash or, worse, work."""
    import_folder(source, tmp_path / "data", SPEC, "main", ignore)
    folder = folder_of(store)
    assert folder is not None
    HARM[harm]((folder / WEIGHTS).resolve())
    assert store.find_snapshot() is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"files": 1}', '{"files": {}}', '{"files": {"a": {}}}']
)
def test_a_torn_record_is_no_record(source: Path, store: ModelStore, tmp_path: Path, text: str) -> None:
    """A full disk may leave anything."""
    import_folder(source, tmp_path / "data", SPEC, "main", ignore)
    (record,) = (store.root / "records").iterdir()
    record.write_text(text)
    assert store.find_snapshot() is None


def test_a_record_without_files_proves_nothing(store: ModelStore) -> None:
    """All of nothing is there; that is no model."""
    cache = HubCache(store.root, SPEC.model_id)
    cache.write_manifest("main", "a" * 40, {}, code=False)
    assert cache.read_manifest("main") is not None
    assert store.find_snapshot() is None


def test_each_revision_has_its_record(source: Path, tmp_path: Path) -> None:
    """An operator who pins a commit, then goes back, downloads nothing twice."""
    for revision in ("main", "refs/pr/1"):
        import_folder(source, tmp_path / "data", SPEC, revision, ignore)
    for revision in ("main", "refs/pr/1"):
        assert ModelStore(tmp_path / "data", SPEC, revision, "native").find_snapshot()
    assert len(list((cache_root(tmp_path / "data") / "records").iterdir())) == 2


def test_a_folder_of_the_users_own_is_used_where_it_lies(source: Path, tmp_path: Path) -> None:
    """A fine-tune under work is not copied."""
    spec = find_model(str(source))
    store = ModelStore(tmp_path / "data", spec, "main", "native")
    assert (folder_of(store), store.revision) == (source.resolve(), None)
    with pytest.raises(ModelUnusable):
        import_folder(source, tmp_path / "data", spec, "main", ignore)
    (source / WEIGHTS).unlink()
    assert store.find_snapshot() is None
    shutil.rmtree(source)
    assert store.find_snapshot() is None


def test_a_single_file_of_weights_is_a_model(source: Path, tmp_path: Path) -> None:
    """Its name says what it is a fine-tune of."""
    file = (source / WEIGHTS).rename(source / "BiRefNet_HR-shoes.safetensors")
    spec = find_model(str(file))
    assert (spec.model_id, spec.input_size) == ("BiRefNet_HR-shoes", (2048, 2048))
    store = ModelStore(tmp_path / "data", spec, "main", "native")
    assert (folder_of(store), store.revision) == (file.resolve(), None)
    with pytest.raises(ModelUnusable):
        asyncio.run(store.delete())
    file.unlink()
    assert store.find_snapshot() is None


def test_weights_cut_short_are_not_imported(source: Path, store: ModelStore, tmp_path: Path) -> None:
    """A copy to a stick that was pulled out too early looks like a model."""
    for content in (weights(50_000)[:-1], weights(50_000) + b"x", b"", b"\xff" * 100, b"<html>"):
        (source / WEIGHTS).write_bytes(content)
        with pytest.raises(DownloadDamaged):
            import_folder(source, tmp_path / "data", SPEC, "main", ignore)
    with pytest.raises(ModelUnusable, match="not a folder"):
        import_folder(source / WEIGHTS, tmp_path / "data", SPEC, "main", ignore)
    (source / WEIGHTS).unlink()
    with pytest.raises(ModelUnusable):
        import_folder(source, tmp_path / "data", SPEC, "main", ignore)
    assert store.find_snapshot() is None


def test_an_import_without_room_or_a_folder_to_write_is_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, not a trace."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed):
        import_folder(source, tmp_path / "file", SPEC, "main", ignore)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(StorageFailed, match=r"0\.1 MB"):
        import_folder(source, tmp_path / "data", SPEC, "main", ignore)


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        ({"model.safetensors", "model.fp16.safetensors", "portrait.safetensors"}, {"model.safetensors"}),
        (
            {"model-1-of-2.safetensors", "model-2-of-2.safetensors"},
            {"model-1-of-2.safetensors", "model-2-of-2.safetensors"},
        ),
        ({"general.safetensors", "onnx/model.safetensors"}, {"general.safetensors"}),
    ],
    ids=["among others", "shards", "a name of its own"],
)
def test_of_several_weights_only_the_models_own_are_taken(names: set[str], taken: set[str]) -> None:
    """Read together, another precision or another model would overwrite it tensor by tensor, unnoticed."""
    assert select_files(names, code=True) == taken


def test_a_folder_of_ones_own_may_name_its_weights_as_it_likes() -> None:
    """As browsers do: the strict names are for what becomes a path by a stranger's word."""
    assert select_weights(["BiRefNet (1).safetensors", "readme.md"]) == {"BiRefNet (1).safetensors"}


@pytest.mark.parametrize(
    ("name", "code", "wanted"),
    [
        (WEIGHTS, False, True),
        ("config.json", False, True),
        ("birefnet.py", False, False),
        ("birefnet.py", True, True),
        (f"onnx/{WEIGHTS}", True, False),
        (f"../{WEIGHTS}", True, False),
        (f"..\\{WEIGHTS}", True, False),
        (f"C:{WEIGHTS}", True, False),
        ("pytorch_model.bin", True, False),
        ("config.json\n", True, False),
    ],
)
def test_only_what_belongs_to_a_model_is_taken(name: str, code: bool, wanted: bool) -> None:  # noqa: FBT001
    """A name from the hub becomes a path here: it must not lead out of the folder."""
    assert select_files([name], code=code) == ({name} if wanted else set())


def test_weights_with_a_header_of_endless_depth_are_damaged(source: Path, tmp_path: Path) -> None:
    """The command line ended in a traceback of its recursion."""
    header = b"[" * 100_000
    (source / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(DownloadDamaged):
        import_folder(source, tmp_path / "data", SPEC, "main", ignore)
