"""HTTP client that POSTs to a URL of a client's choice, with the SSRF protection of `ssrf_protection`."""

import asyncio
import ssl
from collections.abc import Mapping

import httpcore2

from shared.errors import UrlFailed
from supervisor.net.ssrf_protection import GuardedBackend
from supervisor.net.url_fetch import get_ssl_context, parse_target

TIMEOUT_S = 10.0


async def post(
    url: str, body: bytes, headers: Mapping[str, str], *, backend: GuardedBackend | None = None
) -> int:
    """POST `body` to `url`, and return the status of the answer. Redirects are not followed.

    `backend` opens the connection; the default connects to public addresses only. Raises UrlRefused and
    UrlFailed.
    """
    backend = backend or GuardedBackend()
    target = parse_target(url)
    request_url = httpcore2.URL(
        scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
    )
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    lines = [(b"Host", target.netloc), (b"Content-Length", str(len(body)).encode()), *lines]
    try:
        async with asyncio.timeout(TIMEOUT_S):
            tls = await asyncio.to_thread(get_ssl_context)
            try:
                async with (
                    httpcore2.AsyncConnectionPool(ssl_context=tls, network_backend=backend) as pool,
                    pool.stream("POST", request_url, headers=lines, content=body) as response,
                ):
                    status: int = response.status  # the body is not read
                    return status
            finally:
                await backend.aclose()
    except TimeoutError as error:
        raise UrlFailed(f"The server did not answer within {TIMEOUT_S:g} s.") from error
    except (
        httpcore2.NetworkError,
        httpcore2.TimeoutException,
        httpcore2.ProtocolError,
        ssl.SSLError,
    ) as error:
        raise UrlFailed(f"The server could not be reached: {error}.") from error
