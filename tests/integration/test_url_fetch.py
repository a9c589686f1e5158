"""Fetching by URL against real servers on the loopback interface."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BgremoveError, UploadTooLarge, UrlFailed, UrlRefused
from supervisor.url_fetch import GuardedBackend, fetch, fetch_through, is_public

BODY = bytes(range(256)) * 800  # more than one read, more than one write buffer
LIMIT = len(BODY)

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """What a test's server was asked, and where it listens."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/cat.png", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]


@asynccontextmanager
async def serving(
    pages: dict[str, bytes | Answer], *, tls: ssl.SSLContext | None = None, http: bool = True
) -> AsyncIterator[Site]:
    """Serve scripted pages; leaving waits until the client has let go of every connection.

    Without `http`, the page "" answers the first bytes, whatever they are.
    """
    site = Site()
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        site.requests.append(await (reader.readuntil(b"\r\n\r\n") if http else reader.read(4096)))
        page = pages[site.paths[-1] if http else ""]
        if isinstance(page, bytes):
            writer.write(page)
            if writer.can_write_eof():
                writer.write_eof()
        else:
            await page(reader, writer)
        await reader.read()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass  # the client hung up, as some tests want
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
        async with asyncio.timeout(20):
            await asyncio.gather(*handlers)
    finally:
        server.close()
        await server.wait_closed()


def answer(status: str = "200 OK", body: bytes = BODY, *, length: int | None = None, also: str = "") -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{also}\r\n".encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(status, b"elsewhere", also=f"Location: {location}\r\n")


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.005)


async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    pass


async def get(url: str, destination: Path, **options: Any) -> str:
    return await fetch(url, destination, **{"max_bytes": LIMIT, "allow_private": True} | options)


def exists(path: Path) -> bool:
    return path.exists()


async def failing(kind: type[BgremoveError], fetching: Coroutine[Any, Any, str], destination: Path) -> str:
    """Await a fetch that must fail, leave no file, and tell a person nothing about the inside."""
    with pytest.raises(kind) as caught:
        await fetching
    assert type(caught.value) is kind
    assert not exists(destination)
    for inside in ("127.0.0", "::", "10.0.0", "Errno", "Error", str(destination.parent)):
        assert inside not in caught.value.detail
    return caught.value.detail


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "upload"


# What must work


def test_an_image_arrives_whole_and_under_its_name(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/pets/cat.png?size=full": answer()}) as site:
            assert await get(site.url("/pets/cat.png?size=full#top"), destination) == "cat.png"

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY


def test_servers_see_who_asks_and_for_what(destination: Path) -> None:
    """A server that cannot see the host serves another site; one that may compress defeats the size limit."""

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host="pictures.example")
            await fetch_through(pictures_example(), url, destination, max_bytes=LIMIT)
            head = site.requests[0].decode().lower()
            for line in (
                f"host: pictures.example:{site.port}",
                "user-agent: bgremove/1",
                "accept: image/*",
                "accept-encoding: identity",
            ):
                assert f"\r\n{line}\r\n" in head

    asyncio.run(scenario())


def test_chunked_answers_arrive_whole(destination: Path) -> None:
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:1], BODY[1:70_000], BODY[70_000:])
    )

    async def scenario() -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: identity\r\n\r\n"
        async with serving({"/cat.png": head + chunks + b"0\r\n\r\n"}) as site:
            await get(site.url(), destination)

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("/", "image", id="no segment"),
        pytest.param("/a/", "image", id="empty last segment"),
        pytest.param("/my%20cat%C3%A9.png", "my caté.png", id="percent-decoded"),
        pytest.param("/a%2F..%2Fcat.png", "cat.png", id="hidden slashes"),
        pytest.param("/..%5C..%5Ccat.png", "cat.png", id="hidden backslashes"),
        pytest.param("/%2E%2E%2F..", "image", id="only dots"),
        pytest.param("/.htaccess", "htaccess", id="leading dot"),
        pytest.param("/a%00b%0D%0A%22c%3C%E2%80%AEgnp.png", "abcgnp.png", id="control and reordering"),
        pytest.param("/" + "x" * 300 + ".png", "x" * 196 + ".png", id="overlong"),
        pytest.param("/%ff.png", "\N{REPLACEMENT CHARACTER}.png", id="not utf-8"),
    ],
)
def test_the_file_name_is_safe_on_any_file_system(path: str, name: str, destination: Path) -> None:
    async def anything(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        writer.write_eof()

    class Everywhere(dict[str, bytes | Answer]):
        def __missing__(self, _: str) -> Answer:
            return anything

    async def scenario() -> None:
        async with serving(Everywhere()) as site:
            assert await get(site.url(path), destination) == name

    asyncio.run(scenario())


def test_a_proxy_in_the_environment_is_not_asked(destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy, the address connected to would be the proxy's and the guard would see nothing."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            await get(site.url(), destination)
            assert site.paths == ["/cat.png"]

    asyncio.run(scenario())


# Redirects


def test_redirects_of_every_kind_are_followed_and_the_last_names_the_file(destination: Path) -> None:
    async def scenario() -> None:
        pages: dict[str, bytes | Answer] = {"/e/last.jpg": answer()}
        async with serving(pages) as site:
            pages["/a"] = redirect(site.url("/b"), "301 Moved")
            pages["/b"] = redirect("/c", "302 Found")
            pages["/c"] = redirect(f"//127.0.0.1:{site.port}/d?x=1", "303 See Other")
            pages["/d?x=1"] = redirect("e/more", "307 Temporary")
            pages["/e/more"] = redirect("last.jpg#here", "308 Permanent")
            assert await get(site.url("/a"), destination) == "last.jpg"
            assert site.paths == ["/a", "/b", "/c", "/d?x=1", "/e/more", "/e/last.jpg"]

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY


def test_a_circle_of_redirects_ends(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/a": redirect("/b"), "/b": redirect("/a")}) as site:
            detail = await failing(UrlFailed, get(site.url("/a"), destination, max_redirects=3), destination)
            assert "redirects too often" in detail
            assert site.paths == ["/a", "/b", "/a", "/b"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/cat.png",
        "gopher://127.0.0.1/",
        "data:image/png;base64,AAAA",
        "http://user:secret@127.0.0.1/",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "/" + "x" * 2048,
        "/a\tb",
    ],
)
def test_a_redirect_gets_no_further_than_a_first_address_would(location: str, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/a": redirect(location)}) as site:
            await failing(UrlRefused, get(site.url("/a"), destination), destination)
            assert site.paths == ["/a"]

    asyncio.run(scenario())


def test_a_redirect_that_names_no_place_is_a_failure(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/a": answer("302 Found")}) as site:
            assert "302" in await failing(UrlFailed, get(site.url("/a"), destination), destination)

    asyncio.run(scenario())


# What the server does wrong


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content", "206 Partial", "304 Same"])
def test_an_error_page_is_not_taken_for_the_image(status: str, destination: Path) -> None:
    async def scenario() -> None:
        page = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving({"/cat.png": page}) as site:
            detail = await failing(UrlFailed, get(site.url(), destination), destination)
            assert status[:3] in detail

    asyncio.run(scenario())


PAGES_TOO_LARGE = {
    "by header": answer(length=LIMIT + 1, body=b""),
    "while streaming": b"HTTP/1.1 200 OK\r\n\r\n" + BODY + b"x",
    "while streaming chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%bx\r\n0\r\n\r\n" % (LIMIT + 1, BODY),
}


@pytest.mark.parametrize("page", PAGES_TOO_LARGE.values(), ids=PAGES_TOO_LARGE.keys())
def test_an_image_one_byte_too_large_is_refused(page: bytes, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": page}) as site:
            await failing(UploadTooLarge, get(site.url(), destination), destination)

    asyncio.run(scenario())


def test_a_server_that_drips_for_ever_is_left_at_the_deadline(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": drip}) as site:
            detail = await failing(UrlFailed, get(site.url(), destination, timeout_s=0.3), destination)
            assert "too long" in detail

    asyncio.run(scenario())


def test_a_server_that_says_nothing_is_left_at_the_deadline(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": silence}) as site:
            detail = await failing(UrlFailed, get(site.url(), destination, timeout_s=0.3), destination)
            assert "too long" in detail

    asyncio.run(scenario())


def test_a_tls_handshake_that_stalls_keeps_no_connection_open(destination: Path) -> None:
    """Otherwise each such request would cost the service one file descriptor for good."""

    async def scenario() -> None:
        async with serving({"": silence}, http=False) as site:
            url = f"https://127.0.0.1:{site.port}/"
            detail = await failing(UrlFailed, get(url, destination, timeout_s=0.5), destination)
            assert "too long" in detail

    asyncio.run(scenario())


PAGES_BROKEN = {
    "truncated": answer(body=BODY[:-1], length=LIMIT),
    "truncated chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "truncated head": b"HTTP/1.1 200 OK\r\nContent-",
    "no answer": b"",
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000,
}


@pytest.mark.parametrize("page", PAGES_BROKEN.values(), ids=PAGES_BROKEN.keys())
def test_an_answer_cut_short_or_garbled_is_not_passed_on(page: bytes, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": page}) as site:
            assert "broke off" in await failing(UrlFailed, get(site.url(), destination), destination)

    asyncio.run(scenario())


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "identity\r\nContent-Encoding: gzip"])
def test_a_compressed_answer_is_refused(coding: str, destination: Path) -> None:
    """Saved as it is, it would be reported as a damaged image."""

    async def scenario() -> None:
        page = answer(also=f"Content-Encoding: {coding}\r\n")
        async with serving({"/cat.png": page}) as site:
            assert "compressed" in await failing(UrlFailed, get(site.url(), destination), destination)

    asyncio.run(scenario())


def test_a_closed_port_is_reported_as_unreachable(destination: Path) -> None:
    async def scenario() -> None:
        with socket.socket() as bound:  # but not listening
            bound.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
            assert "not be reached" in await failing(UrlFailed, get(url, destination), destination)

    asyncio.run(scenario())


def test_a_host_that_does_not_exist_is_reported_as_such(destination: Path) -> None:
    async def scenario() -> None:
        url = f"http://{'nowhere.' * 40}invalid/cat.png"  # too long for any name server to be asked
        assert "not known" in await failing(UrlFailed, get(url, destination), destination)

    asyncio.run(scenario())


# TLS: the connection goes to an address, the certificate must still be checked against the name


def pictures_example() -> GuardedBackend:
    async def resolve(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    return GuardedBackend(allow=lambda _: True, resolve=resolve)


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


@pytest.fixture
def https(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server whose certificate the client trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_an_image_arrives_over_https(https: ssl.SSLContext, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": answer()}, tls=https) as site:
            url = f"https://pictures.example:{site.port}/cat.png"
            await fetch_through(pictures_example(), url, destination, max_bytes=LIMIT)

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
def test_a_certificate_for_another_host_is_refused(
    host: str, https: ssl.SSLContext, destination: Path
) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": answer()}, tls=https) as site:
            url = f"https://{host}:{site.port}/cat.png"
            fetching = fetch_through(pictures_example(), url, destination, max_bytes=LIMIT)
            assert "secure connection" in await failing(UrlFailed, fetching, destination)
            assert site.requests == []

    asyncio.run(scenario())


def test_a_certificate_nobody_vouches_for_is_refused(
    https: ssl.SSLContext, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}, tls=https) as site:
            url = f"https://pictures.example:{site.port}/cat.png"
            fetching = fetch_through(pictures_example(), url, destination, max_bytes=LIMIT)
            assert "secure connection" in await failing(UrlFailed, fetching, destination)

    asyncio.run(scenario())


def test_a_redirect_from_https_to_http_is_refused(https: ssl.SSLContext, destination: Path) -> None:
    """Whoever listens on the way could otherwise swap the image."""

    async def scenario() -> None:
        pages: dict[str, bytes | Answer] = {"/cat.png": answer()}
        async with serving(pages) as plain, serving(pages, tls=https) as secure:
            pages["/start"] = redirect(plain.url())
            url = f"https://pictures.example:{secure.port}/start"
            fetching = fetch_through(pictures_example(), url, destination, max_bytes=LIMIT)
            assert "https to http" in await failing(UrlRefused, fetching, destination)
            assert plain.requests == []

    asyncio.run(scenario())


def test_a_plain_server_behind_https_is_reported_as_insecure(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"": answer("400 Bad Request")}, http=False) as site:
            url = f"https://pictures.example:{site.port}/"
            fetching = fetch_through(pictures_example(), url, destination, max_bytes=LIMIT)
            assert "secure connection" in await failing(UrlFailed, fetching, destination)
            assert b"pictures.example" in site.requests[0]  # asked for by name

    asyncio.run(scenario())


# What a person may ask for


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param("cat.png", id="relative"),
        pytest.param("//example.com/cat.png", id="no scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("ftp://example.com/cat.png", id="ftp"),
        pytest.param("ws://example.com/", id="websocket"),
        pytest.param("http:///cat.png", id="no host"),
        pytest.param("http:cat.png", id="no slashes"),
        pytest.param("http://user:secret@example.com/", id="credentials"),
        pytest.param("http://user@example.com/", id="user"),
        pytest.param("http://example.com\\@127.0.0.1/", id="backslash"),
        pytest.param("http://example.com/\r\nX-Evil: 1", id="line break"),
        pytest.param("http://example.com/\x00", id="nul"),
        pytest.param("http://example.com/\x85", id="c1 control"),
        pytest.param("http://exa mple.com/", id="space in host"),
        pytest.param("http://example.com%00.evil/", id="escape in host"),
        pytest.param("http://[fe80::1%25eth0]/", id="zone id"),
        pytest.param("http://[fe80::1%eth0]/", id="bare zone id"),
        pytest.param("http://[::1/", id="open bracket"),
        pytest.param("http://.example.com/", id="empty label"),
        pytest.param(f"http://{'a' * 64}.com/", id="overlong label"),
        pytest.param("http://0177.0.0.1/", id="octal"),
        pytest.param("http://256.0.0.1/", id="no such address"),
        pytest.param("http://example.com:0/", id="port 0"),
        pytest.param("http://example.com:65536/", id="port too high"),
        pytest.param("http://example.com:-1/", id="negative port"),
        pytest.param("http://example.com:http/", id="named port"),
        pytest.param("http://example.com/\ud800", id="half a surrogate pair"),
        pytest.param("http://example.com/".ljust(2049, "x"), id="overlong"),
    ],
)
def test_what_is_no_plain_web_address_is_refused_without_a_question_asked(
    url: str, destination: Path
) -> None:
    async def resolve(_: str, __: int) -> list[str]:
        pytest.fail("a name was resolved")

    async def scenario() -> None:
        backend = GuardedBackend(allow=lambda _: True, resolve=resolve)
        await failing(UrlRefused, fetch_through(backend, url, destination, max_bytes=LIMIT), destination)

    asyncio.run(scenario())


# The guard


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("localhost", id="name"),
        pytest.param("LocalHost", id="name in mixed case"),
        pytest.param("127.0.0.1", id="literal"),
        pytest.param("127.1", id="short"),
        pytest.param("2130706433", id="decimal"),
        pytest.param("0x7f.1", id="hex"),
        pytest.param("0x7f000001", id="hex as one number"),
        pytest.param("0177.1", id="octal"),
        pytest.param("0177.0.0.1", id="octal in four parts"),
        pytest.param("127\u30020\u30020\u30021", id="ideographic full stops"),
        pytest.param("0", id="unspecified, short"),
        pytest.param("0.0.0.0", id="unspecified"),  # noqa: S104 - never bound
        pytest.param("[::1]", id="ipv6"),
        pytest.param("[::]", id="ipv6 unspecified"),
        pytest.param("[::ffff:127.0.0.1]", id="mapped"),
        pytest.param("[0:0:0:0:0:FFFF:7F00:1]", id="mapped, in hex"),
        pytest.param("[::127.0.0.1]", id="compatible"),
        pytest.param("[64:ff9b::127.0.0.1]", id="nat64"),
        pytest.param("[2002:7f00:1::]", id="6to4"),
        pytest.param("169.254.169.254", id="cloud metadata"),
        pytest.param("10.0.0.1", id="private"),
    ],
)
def test_this_machine_and_its_network_cannot_be_asked_under_any_spelling(
    host: str, destination: Path
) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host=host)
            await failing(UrlRefused, get(url, destination, allow_private=False), destination)
            assert site.requests == []

    asyncio.run(scenario())


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "[::ffff:127.0.0.1]", "[::1]", "10.0.0.1"])  # noqa: S104
def test_a_public_server_cannot_redirect_into_the_inner_network(host: str, destination: Path) -> None:
    async def scenario() -> None:
        pages: dict[str, bytes | Answer] = {"/secret": answer()}
        async with serving(pages) as site:
            pages["/start"] = redirect(site.url("/secret", host=host))
            # 127.0.0.1 plays the public server; the other spellings would reach it too.
            backend = GuardedBackend(allow=lambda address: address == "127.0.0.1" or is_public(address))
            fetching = fetch_through(backend, site.url("/start"), destination, max_bytes=LIMIT)
            await failing(UrlRefused, fetching, destination)
            assert site.paths == ["/start"]

    asyncio.run(scenario())


@dataclass
class Names:
    """A name server that gives its answers one after the other; 127.0.0.1 passes for public."""

    answers: list[list[str]]

    async def resolve(self, _: str, __: int) -> list[str]:
        return self.answers.pop(0)

    def backend(self) -> GuardedBackend:
        return GuardedBackend(allow="127.0.0.1".__eq__, resolve=self.resolve)


def test_a_name_is_looked_up_once_so_that_its_second_answer_cannot_matter(destination: Path) -> None:
    async def scenario() -> None:
        names = Names([["127.0.0.1"], ["::ffff:127.0.0.1"]])
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host="rebinding.example")
            await fetch_through(names.backend(), url, destination, max_bytes=LIMIT)
        assert names.answers == [["::ffff:127.0.0.1"]]

    asyncio.run(scenario())


def test_a_name_that_turns_inward_between_two_hops_is_refused(destination: Path) -> None:
    async def scenario() -> None:
        names = Names([["127.0.0.1"], ["::ffff:127.0.0.1"]])
        async with serving({"/start": redirect("/secret"), "/secret": answer()}) as site:
            url = site.url("/start", host="rebinding.example")
            fetching = fetch_through(names.backend(), url, destination, max_bytes=LIMIT)
            await failing(UrlRefused, fetching, destination)
            assert site.paths == ["/start"]

    asyncio.run(scenario())


def test_of_several_addresses_only_the_public_ones_are_tried(destination: Path) -> None:
    async def scenario() -> None:
        names = Names([["::ffff:127.0.0.1", "10.0.0.1", "127.0.0.1"], ["::ffff:127.0.0.1", "10.0.0.1"]])
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host="mixed.example")
            await fetch_through(names.backend(), url, destination, max_bytes=LIMIT)
            elsewhere = destination.with_name("second")
            fetching = fetch_through(names.backend(), url, elsewhere, max_bytes=LIMIT)
            await failing(UrlRefused, fetching, elsewhere)
            assert len(site.requests) == 1

    asyncio.run(scenario())


def test_a_dead_address_leaves_the_others_their_turn(destination: Path) -> None:
    async def resolve(_: str, __: int) -> list[str]:
        return ["::1", "127.0.0.1"]  # the server listens on the second only

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            backend = GuardedBackend(allow=lambda _: True, resolve=resolve)
            url = site.url(host="twofold.example")
            await fetch_through(backend, url, destination, max_bytes=LIMIT)

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY


# What is not the network's doing


def test_a_cancelled_fetch_leaves_no_file_and_no_connection(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": drip}) as site:
            fetching = asyncio.create_task(get(site.url(), destination))
            async with asyncio.timeout(20):
                while not exists(destination):  # noqa: ASYNC110 - a file has no event
                    await asyncio.sleep(0.005)
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching

    asyncio.run(scenario())
    assert not destination.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to stand in for a full disk")
@pytest.mark.parametrize("body", [b"tiny", BODY], ids=["found at close", "found at write"])
def test_a_full_disk_is_not_blamed_on_the_server(body: bytes, destination: Path) -> None:
    destination.symlink_to("/dev/full")

    async def scenario() -> None:
        async with serving({"/cat.png": answer(body=body)}) as site:
            with pytest.raises(OSError, match="No space left"):
                await get(site.url(), destination)

    asyncio.run(scenario())
    assert not destination.is_symlink()


def test_a_missing_folder_is_not_blamed_on_the_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            with pytest.raises(FileNotFoundError):
                await get(site.url(), tmp_path / "gone" / "upload")

    asyncio.run(scenario())
