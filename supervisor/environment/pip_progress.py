"""How far pip is, told from the lines it writes."""

import re
from dataclasses import dataclass, field

from packaging.version import InvalidVersion, Version

STARTED, FETCHED, INSTALLED = 2.0, 85.0, 98.0  # percent
COLLECTING = 8.0  # the share of finding out what is needed, which comes before most of the downloads
RAW_PROGRESS_VERSION = (24, 1)  # the first pip that counts bytes for programs
_COUNT = re.compile(r"Progress (?P<done>\d+) of (?P<all>\d+)")
_COLLECTING = re.compile(r"(?:Collecting|Processing) (?P<what>\S+)")
_FETCHING = re.compile(
    r"(?P<how>Downloading|Using cached|Processing) (?:\S*/)?(?P<file>\S+)(?P<size> \(\d.*\))?"
)
_INSTALLING = re.compile(r"Installing collected packages: (?P<what>.+)")
_FROM = re.compile(r" \(from .*")


def progress_arguments(pip_version: str) -> list[str]:
    """Return how to ask this version of pip for its progress."""
    try:
        raw = Version(pip_version).release >= RAW_PROGRESS_VERSION
    except InvalidVersion:
        raw = False
    return ["--progress-bar", "raw" if raw else "off"]


@dataclass(slots=True)
class PipProgress:
    """Follows one `pip install` of `planned` packages; what they need in turn comes to light on the way."""

    planned: int
    percent: float = STARTED
    message: str = "Asking the package index"
    _collected: set[str] = field(default_factory=set)
    _fetched: int = 0  # files that are here
    _part: float | None = None  # of the file that is being downloaded

    def feed(self, line: str) -> bool:
        """Take in one line of output. False where no log needs it: a count of bytes, or nothing at all."""
        text = line.strip()
        if count := _COUNT.fullmatch(text):
            self._part = int(count["done"]) / max(int(count["all"]), 1)
            self._update()
            return False
        if collecting := _COLLECTING.match(text):
            self._collected.add(collecting["what"])
            self.message = _FROM.sub("", text)
        if (fetching := _FETCHING.match(text)) and not fetching["file"].endswith(".metadata"):
            self._next_file(downloading=fetching["how"] == "Downloading")
            self.message = f"{fetching['how']} {_package_of(fetching['file'])}{fetching['size'] or ''}"
        if text.startswith(("Building wheel for", "Preparing metadata", "Installing build dependencies")):
            self.message = text.partition(":")[0]
        if installing := _INSTALLING.match(text):
            self.percent, self.message = FETCHED, f"Installing {installing['what']}"
        elif text.startswith("Successfully installed"):
            self.percent = INSTALLED
        else:
            self._update()
        return bool(text)

    def _next_file(self, *, downloading: bool) -> None:
        """Count the file before as fetched; a download is counted when the next file begins."""
        self._fetched += self._part is not None
        self._part = 0.0 if downloading else None
        self._fetched += not downloading

    def _update(self) -> None:
        total = max(self.planned, len(self._collected), self._fetched)
        collected = min(1.0, len(self._collected) / (4 * max(self.planned, 1))) * COLLECTING
        fetched = min(1.0, (self._fetched + (self._part or 0)) / max(total, 1))
        share = FETCHED - STARTED - COLLECTING
        self.percent = max(self.percent, STARTED + collected + fetched * share)


def _package_of(file: str) -> str:
    return re.split(r"-\d", file)[0]
