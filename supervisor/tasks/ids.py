"""Ids of tasks and files, which begin with the time that they were made.

An id that is not in use any more needs no record: its age says whether it has expired or never was. The ids
of several services behind one proxy end in the service's number, by which the proxy routes requests.

Source: RFC 9562, 5.7 (UUID version 7: 48 bits of Unix milliseconds, then random bits).
"""

import os
import time

from shared.errors import Expired, NotFound

_TIME_DIGITS = 12
_instance: int | None = None


def set_instance(number: int | None) -> None:
    """Make all later ids end in a number of 0 to 255, as two hexadecimal digits; None: in random ones."""
    global _instance  # noqa: PLW0603  # a process is one service
    _instance = number


def new_id() -> str:
    """Return 32 hexadecimal digits that no other id has."""
    random = bytearray(os.urandom(10))
    random[0] = 0x70 | random[0] & 0x0F  # the version
    random[2] = 0x80 | random[2] & 0x3F  # the variant
    if _instance is not None:
        random[-1] = _instance
    return f"{time.time_ns() // 1_000_000:012x}{random.hex()}"


def missing_id_error(kind: str, id_: str, retention_s: float) -> Expired | NotFound:
    """Return the error for an id of a `kind`, such as "task", that is not in use.

    It has expired if it is older than the retention, else there never was such a thing here.
    """
    digits = id_.rpartition("_")[2]
    try:
        born_at = int(digits[:_TIME_DIGITS], 16) / 1000 if len(digits) == 32 else None
    except ValueError:
        born_at = None
    if born_at is not None and 0 < born_at < time.time() - retention_s:
        return Expired(f"The {kind} has expired and was deleted.")
    return NotFound(f"There is no {kind} by that id.")
