"""What the words of the command line mean: files, folders, patterns, addresses, standard input."""

import glob
import mimetypes
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from cli.command_errors import CommandFailed, usage_error
from shared.formats import ACCEPTED, SIGNATURE_BYTES, detect_format

STDIN = "-"
SHOWN = 5  # names in one error
_ACCEPTED_TYPES = {known.media_type for known in ACCEPTED}
_ENDINGS = mimetypes.MimeTypes()
_ENDINGS.add_type("image/jpeg", ".jfif")  # what browsers on Windows call a JPEG


@dataclass(frozen=True)
class Source:
    """One photo: its name as the person knows it, and where it lay below the folder that was named."""

    name: str
    kind: Literal["file", "address", "stdin"] = "file"
    below: Path = Path()
    found: bool = False  # in a folder, not named itself

    @property
    def path(self) -> Path:
        """The file, for one that is a file."""
        return Path(self.name)

    @property
    def lasts(self) -> bool:
        """Whether it can be read a second time: no pipe can."""
        return self.kind == "address" or (self.kind == "file" and self.path.is_file())

    @property
    def whole_name(self) -> str:
        """The name without folders."""
        if self.kind == "stdin":
            return "stdin"
        if self.kind == "file":
            return self.path.name
        last = re.split(r"[/\\]", unquote(urlsplit(self.name).path))[-1]
        return re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", last).strip() or "image"

    @property
    def stem(self) -> str:
        """The name without folders and ending; what a result is named after."""
        return Path(self.whole_name).stem.strip() or "image"


def find_sources(words: Iterable[str], *, recursive: bool, passed_over: Path | None = None) -> list[Source]:
    """Return the photos that the words mean, each once, in the words' order.

    Folders give the pictures in them, but for those in the folder `passed_over`. Raises a misuse.
    """
    found: dict[str, Source] = {}
    missing = []
    for word in words:
        sources = list(_meant(word, recursive=recursive, passed_over=passed_over))
        if not sources:
            missing.append(word)
        for source in sources:
            key = str(place_of(source.path)) if source.kind == "file" else source.name
            found.setdefault(key, source)
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise usage_error(f"there is no file {', '.join(missing[:SHOWN])}{more}")
    return list(found.values())


def pictures_in(folder: Path, *, recursive: bool, passed_over: Path | None = None) -> Iterator[Source]:
    """Give the pictures in a folder, told by their endings and, where those are unclear, their first bytes.

    Hidden files and folders are left out. Raises CommandFailed where a folder cannot be read.
    """
    avoided = passed_over.resolve() if passed_over else None

    def fail(error: OSError) -> None:
        if Path(error.filename) == folder or not isinstance(error, FileNotFoundError):  # else just deleted
            detail = f"cannot read the folder {error.filename}: {error.strerror}"
            raise CommandFailed(detail, "input_unreadable") from error

    for directory, folders, files in os.walk(folder, onerror=fail):
        here = Path(directory)
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        folders[:] = [name for name in folders if (here / name).resolve() != avoided]
        for name in sorted(files):
            if not name.startswith(".") and _is_picture(here / name):
                yield Source(str(here / name), below=here.relative_to(folder), found=True)


def place_of(path: Path) -> Path:
    """Return the one name of a file's place, however its folder was written; a link itself is kept."""
    return path.parent.resolve() / path.name


def _meant(word: str, *, recursive: bool, passed_over: Path | None) -> Iterator[Source]:
    if word == STDIN:
        yield Source(STDIN, "stdin")
    elif word.lower().startswith(("http://", "https://")):
        yield Source(_address(word), "address")
    elif Path(word).is_dir():
        yield from _folder(Path(word), recursive=recursive, passed_over=passed_over)
    elif Path(word).exists():
        yield Source(str(Path(word)))
    elif glob.has_magic(word):  # a shell that leaves patterns to the programs, as on Windows
        for match in sorted(glob.glob(word, recursive=True)):  # noqa: PTH207 - Path's takes no absolute ones
            yield from _meant(match, recursive=recursive, passed_over=passed_over)


def _folder(folder: Path, *, recursive: bool, passed_over: Path | None) -> Iterator[Source]:
    sources = list(pictures_in(folder, recursive=recursive, passed_over=passed_over))
    if not sources:
        hint = "" if recursive else " itself; --recursive looks into its folders too"
        raise usage_error(f"there is no picture in {folder}{hint}")
    yield from sources


def _address(word: str) -> str:
    try:
        parts = urlsplit(word)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket left open
        usable = False
    if not usable:
        raise usage_error(f"{word} is not an address like https://example.com/photo.jpg")
    return word


def _is_picture(path: Path) -> bool:
    kind = _ENDINGS.guess_type(path.name, strict=False)[0]
    unclear = not path.suffix or (kind or "").startswith("image/")
    if not (kind in _ACCEPTED_TYPES or unclear) or not _is_file(path):
        return False
    return kind in _ACCEPTED_TYPES or detect_format(_head(path)) is not None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder whose names we may read, and nothing else
        return False


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SIGNATURE_BYTES)
    except OSError:
        return b""
