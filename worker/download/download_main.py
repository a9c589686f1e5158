"""Entry point of the download process: downloads one model and reports the outcome."""

import os
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from shared import logs
from shared.errors import BgremoveError, DownloadFailed, StorageFailed
from shared.hub_cache import HubCache
from shared.messages import Command, DownloadConfig, Downloaded, Downloading, Event, NotDownloaded
from worker.download.download_progress import DownloadProgress
from worker.event_sender import EventSender

# Read by huggingface_hub when it is imported. The user's own settings take precedence.
HUB_DEFAULTS = {"HF_HUB_DISABLE_TELEMETRY": "1"}


def serve(_: "Connection[Command, Command]", queue: "SimpleQueue[Event]", config: DownloadConfig) -> None:
    """Download the model, send progress and the outcome as events, and return."""
    logs.configure("warning")
    events = EventSender(queue)
    for name, value in HUB_DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        with DownloadProgress(lambda *report: events.put(Downloading(*report))) as progress:
            _download(config, progress)
        events.put(Downloaded())
    except BgremoveError as error:
        events.put(NotDownloaded(error.code, error.detail))


def _download(config: DownloadConfig, progress: DownloadProgress) -> None:
    try:
        from worker.download.downloader import Downloader  # noqa: PLC0415  # reads HUB_DEFAULTS; optional
    except ImportError as error:
        raise DownloadFailed(
            "The packages that BiRefNet needs are not installed: run 'python3 scripts/bgremove.py install'."
        ) from error
    cache = HubCache(Path(config.cache_root), config.repo_id)
    try:
        Downloader(cache, config, progress).run()
    except OSError as error:
        raise StorageFailed(f"The data folder cannot store the model: {error.strerror or error}.") from error
