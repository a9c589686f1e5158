"""The Content-Disposition of a form's part: the part's name and its file name."""

import contextlib
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value

from supervisor.api.field_limits import CHARSETS

MAX_SEMICOLONS = 64  # a name may have some; the standard library's parser takes quadratic time for thousands


def parse_disposition(header: bytes, charset: str) -> tuple[str | None, str | None]:
    """Return a part's name and its file name, each None where there is none (RFC 7578, 4.2).

    Of several file names the last one counts, which is `filename*` (RFC 6266). Programs made with .NET send
    words encoded as in e-mails (RFC 2047). A name in another charset than a form's stays as it was sent.
    Raises ValueError for a header with too many parameters.
    """
    if header.count(b";") > MAX_SEMICOLONS:
        raise ValueError(f"A part's Content-Disposition has at most {MAX_SEMICOLONS} semicolons.")
    message = Message()
    message["Content-Disposition"] = header.decode(charset, "replace")
    parameters = message.get_params([], header="Content-Disposition")
    values = {key.lower(): _decode_extended(value) for key, value in parameters}
    file_name = values.get("filename")
    return values.get("name"), None if file_name is None else _decode_words(file_name)


def _decode_extended(value: str | tuple[str | None, str | None, str]) -> str:
    """Return a parameter's text; `name*=charset'language'text` comes as three (RFC 2231)."""
    if isinstance(value, tuple):
        return collapse_rfc2231_value(value, "replace") if _is_known(value[0]) else value[2]
    return value


def _decode_words(text: str) -> str:
    """Return a text with its encoded words decoded (RFC 2047)."""
    if text.startswith("=?") and text.endswith("?="):
        with contextlib.suppress(HeaderParseError, ValueError):  # it stays as it was sent
            words = decode_header(text)
            if all(_is_known(charset) for _, charset in words):
                return str(make_header(words))
    return text


def _is_known(charset: str | None) -> bool:
    return not charset or charset.lower().encode() in CHARSETS
