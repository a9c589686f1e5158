"""The names of clients' files, and what is left of them in the names of results."""

import re

MAX_STEM = 100  # characters of a photo's name that its result's files carry


def sanitize_name(name: str) -> str:
    """Return a client's file name without folders, control characters and what UTF-8 cannot write."""
    base = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", base).strip() or "image"


def name_stem(name: str) -> str:
    """Return a file name without its ending, cut short where it is a long one."""
    return (name.rsplit(".", 1)[0] or name)[:MAX_STEM]
