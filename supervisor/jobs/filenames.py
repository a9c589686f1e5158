"""File names: sanitises those of clients, and derives the stem of result names from them."""

import re

MAX_STEM = 100  # characters of an image's name that its result's files carry


def sanitize_name(name: str) -> str:
    """Return a client's file name without folders, control characters and lone surrogates."""
    base = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", base).strip() or "image"


def name_stem(name: str) -> str:
    """Return a file name without its extension, of 100 characters at most."""
    return (name.rsplit(".", 1)[0] or name)[:MAX_STEM]
