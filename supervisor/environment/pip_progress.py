"""Parses the output of `pip install` into a percentage and a message."""

import re
from dataclasses import dataclass, field

from packaging.version import InvalidVersion, Version

STARTED, DOWNLOADED, INSTALLED = 2.0, 85.0, 98.0  # percent
RESOLVING = 8.0  # percent for the dependency resolution, which precedes most of the downloads
RAW_PROGRESS_VERSION = (24, 1)  # the first pip with --progress-bar raw
_BYTE_COUNT = re.compile(r"Progress (?P<done>\d+) of (?P<all>\d+)")
_COLLECTING = re.compile(r"(?:Collecting|Processing) (?P<what>\S+)")
_FETCHING = re.compile(
    r"(?P<how>Downloading|Using cached|Processing) (?:\S*/)?(?P<file>\S+)(?P<size> \(\d.*\))?"
)
_INSTALLING = re.compile(r"Installing collected packages: (?P<what>.+)")
_FROM = re.compile(r" \(from .*")


def progress_bar_options(pip_version: str) -> list[str]:
    """Return the --progress-bar option for this version of pip: raw byte counts where it supports them."""
    try:
        raw = Version(pip_version).release >= RAW_PROGRESS_VERSION
    except InvalidVersion:
        raw = False
    return ["--progress-bar", "raw" if raw else "off"]


@dataclass(slots=True)
class PipProgress:
    """Progress of one `pip install` of `planned` packages; their dependencies are counted as they appear."""

    planned: int
    percent: float = STARTED
    message: str = "Querying the package index"
    _collected: set[str] = field(default_factory=set)
    _fetched_files: int = 0
    _current_fraction: float | None = None  # of the file that is being downloaded

    def feed(self, line: str) -> bool:
        """Process a line of output. Returns False for one not worth logging: a byte count or a blank line."""
        text = line.strip()
        if count := _BYTE_COUNT.fullmatch(text):
            self._current_fraction = int(count["done"]) / max(int(count["all"]), 1)
            self._update()
            return False
        if collecting := _COLLECTING.match(text):
            self._collected.add(collecting["what"])
            self.message = _FROM.sub("", text)
        if (fetching := _FETCHING.match(text)) and not fetching["file"].endswith(".metadata"):
            self._begin_file(downloading=fetching["how"] == "Downloading")
            self.message = f"{fetching['how']} {_package_of(fetching['file'])}{fetching['size'] or ''}"
        if text.startswith(("Building wheel for", "Preparing metadata", "Installing build dependencies")):
            self.message = text.partition(":")[0]
        if installing := _INSTALLING.match(text):
            self.percent, self.message = DOWNLOADED, f"Installing {installing['what']}"
        elif text.startswith("Successfully installed"):
            self.percent = INSTALLED
        else:
            self._update()
        return bool(text)

    def _begin_file(self, *, downloading: bool) -> None:
        """Count the previous download as finished; a file that needs no download counts immediately."""
        self._fetched_files += self._current_fraction is not None
        self._current_fraction = 0.0 if downloading else None
        self._fetched_files += not downloading

    def _update(self) -> None:
        total = max(self.planned, len(self._collected), self._fetched_files)
        resolved = min(1.0, len(self._collected) / (4 * max(self.planned, 1))) * RESOLVING
        fetched = min(1.0, (self._fetched_files + (self._current_fraction or 0)) / max(total, 1))
        self.percent = max(self.percent, STARTED + resolved + fetched * (DOWNLOADED - STARTED - RESOLVING))


def _package_of(file: str) -> str:
    return re.split(r"-\d", file)[0]
