"""The service that a command talks to: one of its own, which ends with it, or one that runs already."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import bootstrap
from cli.command_errors import Unreachable, usage_error
from cli.server_process import TOKEN_VARIABLE, ServerProcess

if TYPE_CHECKING:
    from cli.api_client import Client


@dataclass(frozen=True)
class Service:
    """A service that answers. `check_alive` raises the last words of one of our own that has ended."""

    client: Client
    check_alive: Callable[[], None]


@contextlib.contextmanager
def running_service(address: str, token: str | None) -> Iterator[Service]:
    """The service at an address."""
    # Imported here: only .venv's Python has what it needs.
    from cli.api_client import Client  # noqa: PLC0415

    with Client(address, token) as client:
        yield Service(client, lambda: None)


@contextlib.contextmanager
def own_service(python: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """Start a service for this command. Other users of the machine reach its port, but lack its token."""
    token = secrets.token_urlsafe()
    with ServerProcess(python, bootstrap.ROOT, {**settings, TOKEN_VARIABLE: token}) as server:
        # Imported here: only .venv's Python has it, and it loads while the server starts.
        from cli.api_client import Client  # noqa: PLC0415

        try:
            with Client(server.wait_ready(), token) as client:
                yield Service(client, server.check_alive)
        except Unreachable:
            server.check_alive()
            raise


def server_address(value: str) -> str:
    """Read a server's address, for argparse."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, a bracket left open
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"{value} is not an address like http://127.0.0.1:6905")
    return value.rstrip("/")


def usable_token(given: str | None) -> str | None:
    """Return the token that was given, else the environment's. Raises a misuse."""
    token = (given or os.environ.get(TOKEN_VARIABLE) or "").strip()  # from a file, it ends in a newline
    if not (token.isascii() and token.isprintable()):
        raise usage_error("the token has characters that cannot be sent")
    return token or None
