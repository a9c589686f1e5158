"""Connects a command to a service: one started for the command, or one that runs already."""

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
from cli.command_errors import CommandFailed, Unreachable, usage_error
from cli.server_process import TOKEN_VARIABLE, ServerProcess

if TYPE_CHECKING:
    from cli.api_client import Client


@dataclass(frozen=True)
class Service:
    """A connected service. `check_alive` raises CommandFailed if its process, started here, has ended."""

    client: Client
    check_alive: Callable[[], None]


@contextlib.contextmanager
def connect(url: str, token: str | None) -> Iterator[Service]:
    """Connect to a running service."""
    # Imported here: only .venv's Python has its packages.
    from cli.api_client import Client  # noqa: PLC0415

    with Client(url, token) as client:
        yield Service(client, lambda: None)


@contextlib.contextmanager
def start_service(python: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """Start a service for the block. Other users of the machine reach its port, but lack its token."""
    token = secrets.token_urlsafe()
    with ServerProcess(python, bootstrap.ROOT, {**settings, TOKEN_VARIABLE: token}) as server:
        # Imported here: only .venv's Python has its packages, and the server starts meanwhile.
        from cli.api_client import Client  # noqa: PLC0415

        try:
            with Client(server.wait_ready(), token) as client:
                yield Service(client, server.check_alive)
        except Unreachable:
            server.check_alive()
            raise


def ensure_environment(*lists: str) -> Path:
    """Install missing packages, re-execute this program with .venv's Python, and return that Python."""
    try:
        python = bootstrap.ensure(*lists)
    except bootstrap.SetupError as error:
        raise CommandFailed(error.detail, "setup_failed") from error
    bootstrap.reexec(python)
    return python


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that can use a running server."""
    add = parser.add_argument
    add("--server", metavar="URL", type=parse_server_url, help="use this server instead of starting one")
    add("--token", help="the server's token (default: BGREMOVE_TOKEN)")


def parse_server_url(value: str) -> str:
    """Check a server's URL, for argparse."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        valid = False
    if not valid:
        raise argparse.ArgumentTypeError(f"{value} is not a URL like http://127.0.0.1:6905")
    return value.rstrip("/")


def read_token(given: str | None) -> str | None:
    """Return the given token, else that of BGREMOVE_TOKEN. Raises a usage error."""
    token = (given or os.environ.get(TOKEN_VARIABLE) or "").strip()  # read from a file, it ends in a newline
    if not (token.isascii() and token.isprintable()):
        raise usage_error("the token may hold printable ASCII characters only")
    return token or None
