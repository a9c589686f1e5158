"""File names: sanitises those of clients, and derives the stem of result names from them."""

import re
import unicodedata

MAX_STEM = 100  # characters of an image's name that its result's files carry


def sanitize_name(name: str) -> str:
    """Return a client's file name without folders, and without characters that some systems forbid.

    Control characters, invisible ones and those that reverse the reading order (Unicode's category C) are
    dropped; what Windows reserves becomes an underscore.
    """
    base = re.split(r"[/\\]", name)[-1]
    visible = "".join(character for character in base if unicodedata.category(character)[0] != "C")
    return re.sub(r'[<>:"|?*]', "_", visible).strip() or "image"


def name_stem(name: str) -> str:
    """Return a file name without its extension, of 100 characters at most."""
    return (name.rsplit(".", 1)[0] or name)[:MAX_STEM]
