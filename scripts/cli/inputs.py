"""Expands positional arguments into images: files, folders, glob patterns, URLs, standard input."""

import glob
import mimetypes
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from cli.command_errors import CommandFailed, usage_error
from shared.formats import ACCEPTED, SIGNATURE_BYTES, detect_format

STDIN = "-"
MAX_LISTED = 5  # names in one error
_RAW = "3fr arw cr2 cr3 dng erf iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f"
UNREAD_KINDS = {
    ".jxl": "JPEG XL",
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf"), "JPEG 2000"),
    **dict.fromkeys((".ico", ".cur"), "ICO"),
    **dict.fromkeys((f".{extension}" for extension in _RAW.split()), "camera raw"),
}
_ACCEPTED_TYPES = {known.media_type for known in ACCEPTED}
_TYPES = mimetypes.MimeTypes()
_TYPES.add_type("image/jpeg", ".jfif")  # browsers on Windows save JPEGs under it


@dataclass(frozen=True)
class Source:
    """One input image: its name as given, and its folder relative to the folder argument that it is from."""

    name: str
    kind: Literal["file", "url", "stdin"] = "file"
    subfolder: Path = Path()
    in_folder: bool = False  # found in a folder argument, not named itself

    @property
    def path(self) -> Path:
        """The file, for the kind "file"."""
        return Path(self.name)

    @property
    def rereadable(self) -> bool:
        """Whether it can be read a second time, unlike a pipe."""
        return self.kind == "url" or (self.kind == "file" and self.path.is_file())

    @property
    def file_name(self) -> str:
        """The name without folders."""
        if self.kind == "stdin":
            return "stdin"
        if self.kind == "file":
            return self.path.name
        last = re.split(r"[/\\]", unquote(urlsplit(self.name).path))[-1]
        return re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", last).strip() or "image"

    @property
    def stem(self) -> str:
        """The name without folders and extension, from which the result's name is made."""
        return Path(self.file_name).stem.strip() or "image"


def find_sources(
    words: Iterable[str], *, recursive: bool, exclude: Path | None = None, unread: Counter[str] | None = None
) -> list[Source]:
    """Return the images that the arguments name, without duplicates, in the arguments' order.

    A folder stands for the images in it, except those in the folder `exclude`; `unread` counts those of kinds
    that are not read. Raises a usage error.
    """
    sources: dict[str, Source] = {}
    missing = []
    for word in words:
        expanded = list(_expand(word, recursive=recursive, exclude=exclude, unread=unread))
        if not expanded:
            missing.append(word)
        for source in expanded:
            key = str(canonical_path(source.path)) if source.kind == "file" else source.name
            sources.setdefault(key, source)
    if missing:
        more = f" and {len(missing) - MAX_LISTED} more" if len(missing) > MAX_LISTED else ""
        raise usage_error(f"there is no file {', '.join(missing[:MAX_LISTED])}{more}")
    return list(sources.values())


def find_images(
    folder: Path, *, recursive: bool, exclude: Path | None = None, unread: Counter[str] | None = None
) -> Iterator[Source]:
    """Yield the images in a folder, by extension or, where that is ambiguous, by magic bytes.

    Hidden files and folders are skipped; `unread` counts images of kinds that are not read. Raises
    CommandFailed if a folder cannot be read.
    """
    excluded = exclude.resolve() if exclude else None

    def fail(error: OSError) -> None:
        if Path(error.filename) == folder or not isinstance(error, FileNotFoundError):  # else just deleted
            detail = f"cannot read the folder {error.filename}: {error.strerror}"
            raise CommandFailed(detail, "input_unreadable") from error

    for directory, folders, files in os.walk(folder, onerror=fail):
        here = Path(directory)
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        folders[:] = [name for name in folders if (here / name).resolve() != excluded]
        for name in sorted(files):
            if name.startswith("."):
                continue
            if _is_image(here / name):
                yield Source(str(here / name), subfolder=here.relative_to(folder), in_folder=True)
            elif unread is not None and (kind := UNREAD_KINDS.get(Path(name).suffix.lower())):
                unread[kind] += 1


def describe_unread(unread: Counter[str]) -> str:
    """Return the counts by kind, such as "2 camera raw, 1 ICO"."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(unread.items()))


def canonical_path(path: Path) -> Path:
    """Return the path with its folder resolved; a symbolic link itself is kept."""
    return path.parent.resolve() / path.name


def _expand(
    word: str, *, recursive: bool, exclude: Path | None, unread: Counter[str] | None
) -> Iterator[Source]:
    if word == STDIN:
        yield Source(STDIN, "stdin")
    elif word.lower().startswith(("http://", "https://")):
        yield Source(_check_url(word), "url")
    elif Path(word).is_dir():
        yield from _expand_folder(Path(word), recursive=recursive, exclude=exclude, unread=unread)
    elif Path(word).exists():
        yield Source(str(Path(word)))
    elif glob.has_magic(word):  # not expanded by the shell, as on Windows
        pattern = _escape_existing_folders(word)
        for match in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - Path's takes no absolute ones
            yield from _expand(match, recursive=recursive, exclude=exclude, unread=unread)


def _escape_existing_folders(pattern: str) -> str:
    """Return a pattern in which existing folders with special characters in their names are literal."""
    literal = Path()
    parts = Path(pattern).parts
    for number, part in enumerate(parts[:-1]):
        literal /= part
        if not literal.is_dir():
            return str(Path(*map(glob.escape, parts[:number]), *parts[number:]))
    return str(Path(*map(glob.escape, parts[:-1]), parts[-1]))


def _expand_folder(
    folder: Path, *, recursive: bool, exclude: Path | None, unread: Counter[str] | None
) -> Iterator[Source]:
    sources = list(find_images(folder, recursive=recursive, exclude=exclude, unread=unread))
    if not sources:
        hint = "" if recursive else "; use --recursive to include subfolders"
        if unread:
            hint += f"; not read: {describe_unread(unread)}"
        raise usage_error(f"there is no image in {folder}{hint}")
    yield from sources


def _check_url(word: str) -> str:
    try:
        parts = urlsplit(word)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        valid = False
    if not valid:
        raise usage_error(f"{word} is not a URL like https://example.com/photo.jpg")
    return word


def _is_image(path: Path) -> bool:
    media_type = _TYPES.guess_type(path.name, strict=False)[0]
    ambiguous = not path.suffix or (media_type or "").startswith("image/")
    if not (media_type in _ACCEPTED_TYPES or ambiguous) or not _is_file(path):
        return False
    return media_type in _ACCEPTED_TYPES or detect_format(_read_signature(path)) is not None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that may be listed but not searched
        return False


def _read_signature(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SIGNATURE_BYTES)
    except OSError:
        return b""
