"""Fetches an image by its URL, using the SSRF-safe transport of `supervisor.net.public_addresses`."""

import asyncio
import re
import ssl
import unicodedata
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from io import BufferedWriter
from pathlib import Path

import httpcore2
import httpx2

from shared.errors import UploadTooLarge, UrlFailed, UrlRefused
from supervisor.net.public_addresses import GuardedBackend

_HEADERS = ((b"User-Agent", b"bgremove/1"), (b"Accept", b"image/*"), (b"Accept-Encoding", b"identity"))
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_URL = 2048
_MAX_REDIRECTS = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Stricter than RFC 3986: no percent signs (zone ids), no labels that neither DNS nor TLS can carry.
_HOST = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*|[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
# For one address of possibly several, so that a dead one leaves the others some of the overall time.
_CONNECT_TIMEOUT_S = 10.0


async def fetch(
    url: str,
    destination: Path,
    *,
    max_bytes: int,
    backend: GuardedBackend | None = None,
    timeout_s: float = 30.0,
) -> str:
    """Write the image at `url` to `destination` and return a name for it; on failure leave no file.

    `backend` opens the connections; without one, only to the public internet. Raises UrlRefused, UrlFailed or
    UploadTooLarge; an OSError is the disk's, not the network's.
    """
    backend = backend or GuardedBackend()
    target = _target(url)
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            # Reading the machine's certificates takes long enough for others on the event loop to notice.
            tls = await asyncio.to_thread(httpcore2.default_ssl_context)
            try:
                async with httpcore2.AsyncConnectionPool(ssl_context=tls, network_backend=backend) as pool:
                    return await _follow(pool, target, destination, max_bytes)
            finally:
                await backend.aclose()
    except TimeoutError as problem:
        if not deadline.expired():  # then it is the disk's: ETIMEDOUT
            raise
        raise UrlFailed("The image's server took too long to send it.") from problem
    except (httpcore2.ConnectError, httpcore2.TimeoutException) as problem:
        if any(isinstance(cause, ssl.SSLError) for cause in problem.args):
            raise UrlFailed("No secure connection to the image's server could be made.") from problem
        raise UrlFailed("The image's server could not be reached.") from problem
    except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError) as problem:
        raise UrlFailed("The image's server broke off or sent something that is not HTTP.") from problem


def check_url(url: str) -> None:
    """Raise UrlRefused for a URL that no fetch would try, whatever its host resolves to."""
    _target(url)


async def _follow(
    pool: httpcore2.AsyncConnectionPool,
    target: httpx2.URL,
    destination: Path,
    max_bytes: int,
) -> str:
    for _ in range(1 + _MAX_REDIRECTS):
        where = httpcore2.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        # Host is set by hand because the pool's own would lack an IPv6 literal's brackets.
        sent = [(b"Host", target.netloc), *_HEADERS]
        limits = {"timeout": {"connect": _CONNECT_TIMEOUT_S}}
        async with pool.stream("GET", where, headers=sent, extensions=limits) as response:
            headers = httpx2.Headers(response.headers)
            if response.status not in _REDIRECTS or "location" not in headers:
                _check_answer(response.status, headers, max_bytes)
                await _save(response, destination, max_bytes)
                return _file_name(target)
            target = _target(headers["location"], base=target)
    raise UrlFailed("The image's address redirects too often.")


def _target(reference: str, base: httpx2.URL | None = None) -> httpx2.URL:
    """Return what `reference` names, a redirect's being relative to `base`, if it may be asked for at all."""
    if len(reference) > _MAX_URL or _CONTROL.search(reference):
        raise UrlRefused(f"An image's address has at most {_MAX_URL} characters and no control characters.")
    try:
        url = base.join(reference) if base else httpx2.URL(reference)
    except (httpx2.InvalidURL, ValueError) as problem:
        raise UrlRefused("The image's address is not a valid URL.") from problem
    if url.scheme not in {"http", "https"}:
        raise UrlRefused("An image's address must begin with http:// or https://.")
    if base and (base.scheme, url.scheme) == ("https", "http"):
        raise UrlRefused("The image's address redirects from https to http.")
    if url.userinfo:
        raise UrlRefused("An image's address must not contain a user name or password.")
    if not _HOST.fullmatch(url.raw_host.decode()) or not (url.port is None or 0 < url.port < 65536):
        raise UrlRefused("The image's address does not name a host that can be asked.")
    return url


def _check_answer(status: int, headers: httpx2.Headers, max_bytes: int) -> None:
    if status != 200:
        raise UrlFailed(f"The image's server answered with status {status}.")
    if headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise UrlFailed("The image's server sent it compressed, though asked not to.")
    if int(headers.get("content-length", "0")) > max_bytes:
        raise UploadTooLarge


async def _save(response: httpcore2.Response, destination: Path, max_bytes: int) -> None:
    received = 0
    with _new_file(destination) as file:
        async with aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                received += len(chunk)
                if received > max_bytes:
                    raise UploadTooLarge
                await asyncio.to_thread(file.write, chunk)


@contextmanager
def _new_file(path: Path) -> Iterator[BufferedWriter]:
    """A file that vanishes unless the block, and closing it, end well."""
    # Buffered, because only that has the lock which lets a cancelled task close it under a thread's write.
    file = path.open("wb")
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _file_name(url: httpx2.URL) -> str:
    last = re.split(r"[/\\]", url.path)[-1]
    # Categories C and Z beyond the plain space: control, invisible, reordering, line-breaking characters.
    kept = (c for c in last if c == " " or (unicodedata.category(c)[0] not in "CZ" and c not in '<>:"|?*'))
    # Cut at the front, which keeps the suffix; file systems count bytes.
    return "".join(kept).encode()[-200:].decode(errors="ignore").strip(" .") or "image"
