"""Multipart forms whose large files are written once: into the spool's file system, ready to be linked."""

import os
import shutil
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import IO, Any, BinaryIO, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from supervisor.platform.private_dir import make_private_dir

MEMORY_BYTES = 1024**2  # of a file that is not on disk yet


class LinkableFile(SpooledTemporaryFile[bytes]):
    """An uploaded file: in memory up to a mebibyte, then a named file in `folder`, deleted when closed.

    The standard library's has no name on Linux, and could only be copied.
    """

    _file: IO[bytes]
    _rolled: bool

    def __init__(self, folder: Path) -> None:
        super().__init__(max_size=MEMORY_BYTES)
        self._folder = folder
        self._path: Path | None = None

    def rollover(self) -> None:
        """Move the content to disk."""
        if self._rolled:
            return
        file = NamedTemporaryFile(dir=make_private_dir(self._folder))  # noqa: SIM115  # closed with this one
        position = self._file.tell()
        self._file.seek(0)
        file.write(self._file.read())
        file.seek(position)
        self._file, self._path, self._rolled = file, Path(file.name), True

    def save_as(self, target: Path) -> None:
        """Write the content to `target`; a file on disk is linked, or copied where that fails."""
        if self._path is None:
            self.seek(0)
            target.write_bytes(self.read())
            return
        self.flush()
        try:
            os.link(self._path, target)
        except OSError:  # another file system, or one without links
            self.seek(0)
            with target.open("wb") as copy:
                shutil.copyfileobj(self, copy, MEMORY_BYTES)


class _Parser(MultiPartParser):
    """Starlette's parser, with linkable files."""

    folder: Path

    def on_headers_finished(self) -> None:
        """Start a part: if it is a file, give it a linkable one to be written to."""
        super().on_headers_finished()
        upload = self._current_part.file
        if upload is not None:
            upload.file.close()  # Starlette's own, which is empty yet
            file = LinkableFile(self.folder)
            upload.file = cast("BinaryIO", file)
            self._files_to_close_on_error[-1] = file


class _Request(Request):
    """A request whose multipart form has linkable files."""

    async def _get_form(self, **limits: Any) -> FormData:  # noqa: ANN401  # as Starlette's
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self._form is None and kind == "multipart/form-data":
            try:
                async with aclosing(self.stream()) as stream:
                    parser = _Parser(self.headers, stream, **limits)
                    parser.folder = self.app.state.container.spool.folder / "incoming"
                    self._form = await parser.parse()
            except MultiPartException as error:
                raise HTTPException(400, error.message) from error
        return await super()._get_form(**limits)


class UploadRoute(APIRoute):
    """A route whose requests have linkable files; for a router's `route_class`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route's requests."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_Request(request.scope, request.receive))

        return handle
