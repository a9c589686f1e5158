"""Downloads over TLS: connected by IP address, verified by host name."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import UrlFailed, UrlRefused
from supervisor.net import url_fetch
from supervisor.net.url_fetch import fetch
from tests.site import (
    BODY,
    LIMIT,
    Answer,
    answer,
    failing,
    pictures_example,
    redirect,
    serving,
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for pictures.example, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "pictures.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = "-subj /CN=pictures.example -addext subjectAltName=DNS:pictures.example"
    files = ["-keyout", str(path), "-out", str(path)]
    subprocess.run([openssl, *options.split(), *names.split(), *files], check=True, capture_output=True)
    return path


@pytest.fixture(autouse=True)
def fresh_context() -> Iterator[None]:
    """The service makes one context for all fetches; here each test has certificates of its own."""
    url_fetch.get_ssl_context.cache_clear()
    yield
    url_fetch.get_ssl_context.cache_clear()


@pytest.fixture
def https(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server whose certificate the client trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_an_image_is_downloaded_over_https(https: ssl.SSLContext, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": answer()}, tls=https) as site:
            url = f"https://pictures.example:{site.port}/cat.png"
            await fetch(url, destination, max_bytes=LIMIT, backend=pictures_example())

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
def test_a_certificate_for_another_host_is_refused(
    host: str, https: ssl.SSLContext, destination: Path
) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": answer()}, tls=https) as site:
            url = f"https://{host}:{site.port}/cat.png"
            fetching = fetch(url, destination, max_bytes=LIMIT, backend=pictures_example())
            assert "TLS connection" in await failing(UrlFailed, fetching, destination)
            assert site.requests == []

    asyncio.run(scenario())


def test_a_self_signed_certificate_is_refused(
    https: ssl.SSLContext, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    url_fetch.get_ssl_context.cache_clear()

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}, tls=https) as site:
            url = f"https://pictures.example:{site.port}/cat.png"
            fetching = fetch(url, destination, max_bytes=LIMIT, backend=pictures_example())
            assert "TLS connection" in await failing(UrlFailed, fetching, destination)

    asyncio.run(scenario())


def test_a_redirect_from_https_to_http_is_refused(https: ssl.SSLContext, destination: Path) -> None:
    """A network attacker could replace the image."""

    async def scenario() -> None:
        pages: dict[str, bytes | Answer] = {"/cat.png": answer()}
        async with serving(pages) as plain, serving(pages, tls=https) as secure:
            pages["/start"] = redirect(plain.url())
            url = f"https://pictures.example:{secure.port}/start"
            fetching = fetch(url, destination, max_bytes=LIMIT, backend=pictures_example())
            assert "https to http" in await failing(UrlRefused, fetching, destination)
            assert plain.requests == []

    asyncio.run(scenario())


def test_a_plain_http_server_fails_over_https(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"": answer("400 Bad Request")}, http=False) as site:
            url = f"https://pictures.example:{site.port}/"
            fetching = fetch(url, destination, max_bytes=LIMIT, backend=pictures_example())
            assert "TLS connection" in await failing(UrlFailed, fetching, destination)
            assert b"pictures.example" in site.requests[0]  # the server name indication (SNI)

    asyncio.run(scenario())


def test_all_fetches_share_one_ssl_context() -> None:
    """Refused URLs took the supervisor from 61 to 677 MB, a context of certificates each."""
    assert url_fetch.get_ssl_context() is url_fetch.get_ssl_context()
