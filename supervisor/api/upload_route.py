"""Route class for uploads: reads a request's form from multipart, or from an image that is the whole body."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from supervisor.api.field_limits import MAX_TEXT_BYTES
from supervisor.api.linkable_file import LinkableFile
from supervisor.api.multipart import FormError, MultipartReader

FILE_FIELD = "file"  # of an image that is the whole body


class _Request(Request):
    """A request whose form may be an image, or multipart with linkable files."""

    async def _get_form(self, *, max_part_size: int = MAX_TEXT_BYTES, **limits: Any) -> FormData:  # noqa: ANN401
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self._form is None and (kind == "multipart/form-data" or is_image(kind)):
            folder = self.app.state.container.spool.folder / "incoming"
            try:
                if is_image(kind):
                    self._form = await self._read_image(folder)
                else:
                    self._form = await MultipartReader(self, folder, max_part_size).read()
            except OSError as error:  # of the disk; the status is for routes that parse the form themselves
                raise FormError("The temporary folder cannot take the upload.", 507) from error
        return await super()._get_form(max_part_size=max_part_size, **limits)

    async def _read_image(self, folder: Path) -> FormData:
        """Return a form with the query's options as its fields and the body as its file."""
        file = LinkableFile(folder)
        size_bytes = 0
        try:
            async for chunk in self.stream():
                size_bytes += len(chunk)
                await run_in_threadpool(file.write, chunk)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        upload = UploadFile(cast("BinaryIO", file), size=size_bytes, filename="image", headers=self.headers)
        return FormData([*self.query_params.multi_items(), (FILE_FIELD, upload)])


def is_image(content_type: str) -> bool:
    """Whether a request's body is an image itself, as `curl --data-binary` sends one."""
    return content_type.strip().lower().startswith("image/")


class UploadRoute(APIRoute):
    """Route class for requests that may hold images: a router's `route_class`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route's requests."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_Request(request.scope, request.receive))

        return handle
