"""Records of a job on disk: what was accepted, how often it was attempted, and how it ended.

A record appears whole, by an atomic rename. A client is told of it after `sync_all`, when it survives a loss
of power. One that nobody was told of may be torn by that, and counts as absent.

Source: Maildir (D. J. Bernstein); fsync(2) of Linux: a file's name is on the disk once its folder is synced.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from shared.errors import BgremoveError, error_from
from shared.file_replace import replace_with_retry
from supervisor.jobs.job import Job
from supervisor.jobs.result import Result

FORMAT = 1  # of the records
ACCEPTED, ENDED, NOTIFIED = "job.json", "end.json", "notified.json"
_PART = ".part"  # of a record that is being written
_ATTEMPT = "attempt-"


class AcceptedRecord(TypedDict):
    """`job.json`: a job, and its number in the order of all that were accepted."""

    format: int
    number: int
    job: Job


class StoredFileRecord(TypedDict):
    """A file of a finished job that clients may download."""

    id: str
    name: Literal["source", "result", "alpha"]  # nothing outside the job's folder
    media_type: str
    download_name: str


class ErrorRecord(TypedDict):
    """The error that a job ended with."""

    code: str
    detail: str


class EndedRecord(TypedDict):
    """`end.json`: how a job ended, with a result and its files, or with an error.

    Both None: its client has deleted the result, and the files; their ids stay known.

    A field that a later version adds to it, or to Result, must be NotRequired, or FORMAT be raised.
    """

    format: int
    expires_at: float  # Unix seconds
    logs: list[str]
    result: Result | None
    files: list[StoredFileRecord]
    error: ErrorRecord | None


_Record = TypeVar("_Record", AcceptedRecord, EndedRecord)
_ACCEPTED = TypeAdapter(AcceptedRecord)
_ENDED = TypeAdapter(EndedRecord)
_LINES = TypeAdapter(list[str])


class UnknownFormat(Exception):
    """A record of another version of this service, or a damaged one."""


def write_accepted(folder: Path, job: Job, number: int) -> None:
    """Record that the job of that folder was accepted. Raises OSError."""
    record = AcceptedRecord(format=FORMAT, number=number, job=job)
    write_record(folder / ACCEPTED, _ACCEPTED.dump_json(record))


def read_accepted(folder: Path) -> AcceptedRecord | None:
    """Read the record of an accepted job; None if there is none. Raises UnknownFormat and OSError."""
    return _read(folder / ACCEPTED, _ACCEPTED)


def write_ended(folder: Path, record: EndedRecord) -> None:
    """Record how the job of that folder ended. Raises OSError."""
    write_record(folder / ENDED, _ENDED.dump_json(record))


def read_ended(folder: Path) -> EndedRecord | None:
    """Read how a job ended; None if it did not. Raises UnknownFormat and OSError."""
    return _read(folder / ENDED, _ENDED)


def failure_of(record: EndedRecord) -> BgremoveError | None:
    """Return the error that a job ended with, if it did."""
    error = record["error"]
    return None if error is None else error_from(error["code"], error["detail"])


def mark_attempt(folder: Path, number: int) -> None:
    """Record that a worker is about to get the job, for the `number`-th time. Raises OSError."""
    (folder / f"{_ATTEMPT}{number}").touch()


def unmark_attempt(folder: Path, number: int) -> None:
    """Take back the record of an attempt that was interrupted on request."""
    (folder / f"{_ATTEMPT}{number}").unlink(missing_ok=True)


def mark_notified(folder: Path, lines: list[str]) -> None:
    """Record that the job's webhook was delivered, or given up, with the log of its tries. Raises OSError."""
    write_record(folder / NOTIFIED, _LINES.dump_json(lines))


def read_notified(folder: Path) -> list[str] | None:
    """Read the log of a webhook that was delivered or given up; None for one that was not. Raises OSError."""
    try:
        return _LINES.validate_json((folder / NOTIFIED).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def count_attempts(folder: Path) -> int:
    """Return how many attempts were begun."""
    return sum(1 for _ in folder.glob(f"{_ATTEMPT}*"))


def write_record(path: Path, content: bytes) -> None:
    """Write a file that other processes see completely or not at all. Raises OSError."""
    part = path.with_name(path.name + _PART)
    part.write_bytes(content)
    replace_with_retry(part, path)


async def sync_all(*paths: Path) -> None:
    """Wait until files and the names in folders are on the disk. Raises OSError.

    All at the same time: file systems with a journal write them together.
    """
    await asyncio.gather(*(asyncio.to_thread(_sync, path) for path in paths))


def _sync(path: Path) -> None:
    if path.is_dir() and sys.platform == "win32":  # which has no such call
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, adapter: TypeAdapter[_Record]) -> _Record | None:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    if not text or b"\0" in text:  # torn by a loss of power: blocks that were not written read as zeros
        return None
    try:
        record = adapter.validate_json(text)
    except ValidationError as error:
        raise UnknownFormat from error
    if record["format"] != FORMAT:
        raise UnknownFormat
    return record
