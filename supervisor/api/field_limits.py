"""Length limits for the text that clients send, and for its quotation in error messages."""

MAX_TEXT_BYTES = 2048  # of a field's name or value
MAX_QUOTED = 60  # characters of a client's text in an error


def quote_text(text: str) -> str:
    """Return a client's text quoted for an error message: truncated, control characters escaped."""
    return repr(text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…")


def is_too_long(text: str) -> bool:
    """Whether a field's name or value is too long; counted in characters first, which is cheap."""
    return len(text) > MAX_TEXT_BYTES or len(text.encode(errors="replace")) > MAX_TEXT_BYTES
