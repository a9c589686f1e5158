"""Middleware that ends the requests which the server cancels at its shutdown."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Stopping
from supervisor.api.error_handlers import ErrorFormats, render_error_for


class ShutdownMiddleware:
    """Answers a cancelled request with Stopping, unless its response has begun.

    The server closes the connection of a request whose response has begun.
    """

    def __init__(self, app: ASGIApp, *, formats: ErrorFormats) -> None:
        self._app = app
        self._formats = formats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Only the shutdown cancels it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def note_and_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except asyncio.CancelledError:
            if not begun:
                await render_error_for(scope, Stopping(), self._formats)(scope, receive, send)
