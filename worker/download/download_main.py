"""The process that downloads one model: its entry point, and how its end is told."""

import os
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from shared import logs
from shared.errors import BgremoveError, DownloadFailed, StorageFailed
from shared.hub_cache import HubCache
from shared.messages import Command, DownloadConfig, Downloaded, Downloading, Event, NotDownloaded
from worker.download.download_progress import Meter
from worker.event_sender import EventSender

# Read by the hub's library when it is imported: tell the hub nothing of this machine. A user's own is kept.
HUB_DEFAULTS = {"HF_HUB_DISABLE_TELEMETRY": "1"}


def serve(_: "Connection[Command, Command]", queue: "SimpleQueue[Event]", config: DownloadConfig) -> None:
    """Download, say how it went, and end."""
    logs.configure("warning")
    events = EventSender(queue)
    for name, value in HUB_DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        with Meter(lambda *told: events.put(Downloading(*told))) as meter:
            _download(config, meter)
        events.put(Downloaded())
    except BgremoveError as error:
        events.put(NotDownloaded(error.code, error.detail))


def _download(config: DownloadConfig, meter: Meter) -> None:
    try:
        from worker.download.downloader import Fetch  # noqa: PLC0415  # after the defaults, and it may not be installed
    except ImportError as error:
        raise DownloadFailed(f"The package {error.name} is missing, which downloads need.") from error
    cache = HubCache(Path(config.cache_root), config.repo_id)
    try:
        Fetch(cache, config, meter).run()
    except OSError as error:
        raise StorageFailed(f"The data folder cannot take the model: {error.strerror or error}.") from error
