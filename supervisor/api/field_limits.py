"""Limits of the text that clients send: charsets, lengths, and quotation in error messages."""

MAX_TEXT_BYTES = 2048  # of a field's name or value
# Python has codecs that take minutes for a megabyte, as punycode's does, and others whose texts cannot be
# encoded again, as unicode_escape's.
CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1"})
MAX_QUOTED = 60  # characters of a client's text in an error


def quote_text(text: str) -> str:
    """Return a client's text quoted for an error message: truncated, control characters escaped."""
    return repr(text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…")


def is_too_long(text: str) -> bool:
    """Whether a field's name or value is too long; counted in characters first, which is cheap."""
    return len(text) > MAX_TEXT_BYTES or len(text.encode(errors="replace")) > MAX_TEXT_BYTES
