"""HTTP client that downloads an image by its URL, with the SSRF protection of `ssrf_protection`."""

import asyncio
import re
import ssl
import unicodedata
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from functools import lru_cache
from io import BufferedWriter
from pathlib import Path

import httpcore2
import httpx2

from shared.errors import UploadTooLarge, UrlFailed, UrlRefused
from supervisor.net.ssrf_protection import GuardedBackend

_HEADERS = ((b"User-Agent", b"bgremove/1"), (b"Accept", b"image/*"), (b"Accept-Encoding", b"identity"))
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_URL = 2048
_MAX_REDIRECTS = 5
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Stricter than RFC 3986: no percent signs (zone ids), no labels that neither DNS nor TLS can carry.
_HOST = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*|[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
# Per address: an unreachable one leaves time from the overall timeout for the host's other addresses.
_CONNECT_TIMEOUT_S = 10.0


async def fetch(
    url: str,
    destination: Path,
    *,
    max_bytes: int,
    backend: GuardedBackend | None = None,
    timeout_s: float = 30.0,
) -> str:
    """Download the image at `url` to `destination` and return a file name for it; a failure leaves no file.

    `backend` opens the connections; the default connects to public addresses only. Raises UrlRefused,
    UrlFailed or UploadTooLarge for the URL and its server, OSError for the disk.
    """
    backend = backend or GuardedBackend()
    target = parse_target(url)
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            # In a thread: reading the system's CA certificates would block the event loop.
            tls = await asyncio.to_thread(get_ssl_context)
            try:
                async with httpcore2.AsyncConnectionPool(ssl_context=tls, network_backend=backend) as pool:
                    return await _follow(pool, target, destination, max_bytes)
            finally:
                await backend.aclose()
    except TimeoutError as problem:
        if not deadline.expired():  # an OSError of the disk: ETIMEDOUT
            raise
        raise UrlFailed("The image's server took too long: try again, or upload the image.") from problem
    except (httpcore2.ConnectError, httpcore2.TimeoutException) as problem:
        if any(isinstance(cause, ssl.SSLError) for cause in problem.args):
            raise UrlFailed(
                "The TLS connection to the image's server failed: check its certificate."
            ) from problem
        raise UrlFailed("The image's server could not be reached: check the URL and try again.") from problem
    except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError) as problem:
        raise UrlFailed("The image's server ended the connection early or sent invalid HTTP.") from problem


@lru_cache(maxsize=1)
def get_ssl_context() -> ssl.SSLContext:
    """Return the SSL context that all fetches share: it holds megabytes of certificates."""
    return httpcore2.default_ssl_context()


def check_url(url: str, field: str | None = None) -> None:
    """Raise UrlRefused, naming the `field`, for a URL that is refused before resolving its host name."""
    try:
        parse_target(url)
    except UrlRefused as error:
        if field is None:
            raise
        raise UrlRefused(f"The field {field!r} is not valid: {error.detail}") from error


async def _follow(
    pool: httpcore2.AsyncConnectionPool,
    target: httpx2.URL,
    destination: Path,
    max_bytes: int,
) -> str:
    for _ in range(1 + _MAX_REDIRECTS):
        request_url = httpcore2.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        # httpcore's default Host header lacks the brackets of an IPv6 literal.
        request_headers = [(b"Host", target.netloc), *_HEADERS]
        timeouts = {"timeout": {"connect": _CONNECT_TIMEOUT_S}}
        async with pool.stream("GET", request_url, headers=request_headers, extensions=timeouts) as response:
            headers = httpx2.Headers(response.headers)
            if response.status not in _REDIRECTS or "location" not in headers:
                _check_response(response.status, headers, max_bytes)
                await _save(response, destination, max_bytes)
                return _choose_file_name(target)
            target = parse_target(headers["location"], base=target)
    raise UrlFailed(f"The image's URL redirects too often, more than {_MAX_REDIRECTS} times.")


def parse_target(reference: str, base: httpx2.URL | None = None) -> httpx2.URL:
    """Parse a URL, relative to `base` for a redirect. Raises UrlRefused for one that may not be used."""
    if len(reference) > _MAX_URL or _CONTROL.search(reference):
        raise UrlRefused(f"A URL has at most {_MAX_URL} characters and no control characters.")
    try:
        url = base.join(reference) if base else httpx2.URL(reference)
    except (httpx2.InvalidURL, ValueError) as problem:
        raise UrlRefused("The URL is not valid.") from problem
    if url.scheme not in {"http", "https"}:
        raise UrlRefused("A URL must begin with http:// or https://.")
    if base and (base.scheme, url.scheme) == ("https", "http"):
        raise UrlRefused("The URL redirects from https to http.")
    if url.userinfo:
        raise UrlRefused("A URL must not contain a user name or password.")
    if not _HOST.fullmatch(url.raw_host.decode()) or not (url.port is None or 0 < url.port < 65536):
        raise UrlRefused("The URL has no valid host name or port.")
    return url


def _check_response(status: int, headers: httpx2.Headers, max_bytes: int) -> None:
    if status != 200:
        raise UrlFailed(f"The image's server answered with HTTP status {status}.")
    if headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise UrlFailed("The image's server sent a compressed response, which is not accepted.")
    if int(headers.get("content-length", "0")) > max_bytes:
        raise UploadTooLarge


async def _save(response: httpcore2.Response, destination: Path, max_bytes: int) -> None:
    received = 0
    with _open_new_file(destination) as file:
        async with aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                received += len(chunk)
                if received > max_bytes:
                    raise UploadTooLarge
                await asyncio.to_thread(file.write, chunk)


@contextmanager
def _open_new_file(path: Path) -> Iterator[BufferedWriter]:
    """Open a file for writing; delete it if the block, or closing the file, raises."""
    # Buffered: its lock lets a cancelled task close the file while a thread writes.
    file = path.open("wb")
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _choose_file_name(url: httpx2.URL) -> str:
    last = re.split(r"[/\\]", url.path)[-1]
    # Drops Unicode categories C and Z except the space: control, invisible, bidi and line-break characters.
    kept = (c for c in last if c == " " or (unicodedata.category(c)[0] not in "CZ" and c not in '<>:"|?*'))
    # Truncated at the front, to keep the extension; file systems limit bytes, not characters.
    return "".join(kept).encode()[-200:].decode(errors="ignore").strip(" .") or "image"
