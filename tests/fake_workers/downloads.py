"""Downloads that misbehave: entry points for a download's process."""

import os
import sys
import time
from typing import Any

from shared.messages import Downloaded, Downloading


def crashes(_commands: Any, events: Any, _config: Any) -> None:
    """Die in the middle, with last words."""
    events.put(Downloading(40, "4 MB of 10 MB", True))  # noqa: FBT003
    sys.stderr.write("first line\nno more file handles\n")
    sys.stderr.flush()
    os._exit(3)


def falls_silent(_commands: Any, events: Any, _config: Any) -> None:
    """Begin, and say no more."""
    events.put(Downloading(40, "4 MB of 10 MB", True))  # noqa: FBT003
    time.sleep(3600)


def claims(_commands: Any, events: Any, _config: Any) -> None:
    """Say that all is well when nothing is there."""
    events.put(Downloaded())
