"""Parser of multipart forms with images: text is limited, files are linkable (RFC 7578, RFC 2046)."""

import base64
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, cast

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException

from supervisor.api.content_disposition import parse_disposition
from supervisor.api.field_limits import MAX_TEXT_BYTES, quote_text
from supervisor.api.linkable_file import LinkableFile

MAX_PARTS = 64
MAX_PREAMBLE_BYTES = 4096
NO_BOUNDARY = "The form does not have the boundary that its Content-Type names."
MAX_BOUNDARY_BYTES = 256  # the parser's own limit; RFC 2046 has 70
BASE64_FIELD = "image_file_b64"  # the one text that may be as long as an image
PLAIN_ENCODINGS = frozenset({"", "binary", "8bit", "7bit"})


class FormError(HTTPException):
    """A form that cannot be read. FastAPI passes on nothing but HTTPExceptions while it reads one."""

    def __init__(self, detail: str, status_code: int = 422) -> None:
        super().__init__(status_code, detail)


class _Part:
    """One part of a multipart form: a text, or a file."""

    def __init__(self) -> None:
        self.headers: dict[str, bytes] = {}
        self.name = ""
        self.text = bytearray()
        self.file: UploadFile | None = None
        self.is_base64 = False
        self.undecoded = b""

    def decode(self, data: bytes) -> bytes:
        """Decode base64 as far as its groups of four characters are complete; return other data as it is."""
        if not self.is_base64:
            return data
        text = self.undecoded + b"".join(data.split())
        whole = len(text) // 4 * 4
        self.undecoded = text[whole:]
        try:
            return base64.b64decode(text[:whole], validate=True)
        except ValueError as error:
            raise FormError(f"The part {quote_text(self.name)} is not base64, as its header says.") from error


class MultipartReader:
    """Reads one multipart form. Files are written on threads, after each chunk of the body.

    Large files are in `folder`; the field BASE64_FIELD may have `max_base64_bytes`. Raises FormError.
    """

    def __init__(self, request: Request, folder: Path, max_base64_bytes: int) -> None:
        _, options = parse_options_header(request.headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        if not boundary:
            raise FormError("Missing boundary in multipart.", 400)
        if len(boundary) > MAX_BOUNDARY_BYTES:
            raise FormError(f"A form's boundary has at most {MAX_BOUNDARY_BYTES} bytes.", 400)
        self._request = request
        self._folder = folder
        self._max_base64_bytes = max_base64_bytes
        self._charset = options.get(b"charset", b"utf-8").decode("latin-1")
        self._items: list[tuple[str, str | UploadFile]] = []
        self._files: list[UploadFile] = []
        self._delimiter = b"--" + boundary
        self._preamble: bytes | None = b""  # what came so far; None once it has ended
        self._part = _Part()
        self._in_part = False
        self._header_name, self._header_value = b"", b""
        self._writes: list[tuple[UploadFile, bytes]] = []
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
            },
        )

    async def read(self) -> FormData:
        """Return the form. Raises FormError; its files are closed then."""
        try:
            async with aclosing(self._request.stream()) as stream:
                async for chunk in stream:
                    self._parser.write(self._skip_preamble(chunk))
                    for file, data in self._writes:
                        await file.write(data)
                    self._writes.clear()
            self._parser.finalize()
            if self._preamble:
                raise FormError(NO_BOUNDARY, 400)  # noqa: TRY301  # closes the files
            if self._in_part:
                raise FormError("The form ends in the middle of a part.", 400)  # noqa: TRY301  # closes the files
            for file in self._files:
                await file.seek(0)
        except BaseException as error:
            for file in self._files:
                file.file.close()
            if isinstance(error, FormParserError):
                raise FormError("Invalid multipart data.", 400) from error
            raise
        return FormData(self._items)

    def _skip_preamble(self, chunk: bytes) -> bytes:
        """Return the chunk without what comes before the first delimiter (RFC 2046, 5.1.1).

        Some of it is held back, while the delimiter may still be incomplete. Raises FormError.
        """
        if self._preamble is None:
            return chunk
        text = self._preamble + chunk
        start = 0 if text.startswith(self._delimiter) else text.find(b"\n" + self._delimiter) + 1
        if start == 0 and not text.startswith(self._delimiter):
            if len(text) > MAX_PREAMBLE_BYTES:
                raise FormError(NO_BOUNDARY, 400)
            self._preamble = text
            return b""
        after = text[start + len(self._delimiter) :]
        if len(after) < 2:  # the end of the delimiter's line
            self._preamble = text
            return b""
        if after.startswith(b"\n"):
            raise FormError("The form's lines end in LF alone: multipart needs CR LF.", 400)
        self._preamble = None
        return text[start:]

    def _begin_part(self) -> None:
        self._part = _Part()
        self._in_part = True
        if len(self._items) >= MAX_PARTS:
            raise FormError(f"A form has at most {MAX_PARTS} parts.", 400)

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._part.headers[self._header_name.decode("latin-1").lower()] = self._header_value
        self._header_name, self._header_value = b"", b""

    def _end_headers(self) -> None:
        part = self._part
        disposition = part.headers.get("content-disposition", b"")
        try:
            name, file_name = parse_disposition(disposition, self._charset)
        except ValueError as error:
            raise FormError(str(error), 400) from error
        if name is None:
            raise FormError('The Content-Disposition header field "name" must be provided.', 400)
        if len(name.encode(errors="replace")) > MAX_TEXT_BYTES:
            raise FormError(f"A field's name has at most {MAX_TEXT_BYTES:,} bytes.")
        part.name = name
        encoding = part.headers.get("content-transfer-encoding", b"").decode("latin-1").strip().lower()
        part.is_base64 = encoding == "base64"
        if not part.is_base64 and encoding not in PLAIN_ENCODINGS:
            raise FormError(
                f"The part {quote_text(name)} has the Content-Transfer-Encoding {quote_text(encoding)}: "
                "send it as binary."
            )
        if file_name is not None:
            file = cast("BinaryIO", LinkableFile(self._folder))
            headers = Headers(raw=[(key.encode("latin-1"), value) for key, value in part.headers.items()])
            part.file = UploadFile(file, size=0, filename=file_name, headers=headers)
            self._files.append(part.file)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        part, chunk = self._part, self._part.decode(data[start:end])
        if part.file is not None:
            self._writes.append((part.file, chunk))
            return
        part.text += chunk
        limit = self._max_base64_bytes if part.name == BASE64_FIELD else MAX_TEXT_BYTES
        if len(part.text) > limit:
            raise FormError(f"The field {quote_text(part.name)} has more than {limit:,} bytes.")

    def _end_part(self) -> None:
        part = self._part
        self._in_part = False
        if part.undecoded:
            raise FormError(f"The part {quote_text(part.name)} is not base64, as its header says.")
        text = part.text.decode(self._charset, "replace")
        self._items.append((part.name, text if part.file is None else part.file))
