"""Downloads by URL from real servers on the loopback interface, correct and faulty ones."""

import asyncio
import socket
from pathlib import Path

import pytest

from shared.errors import UploadTooLarge, UrlFailed, UrlRefused
from supervisor.net.url_fetch import fetch
from tests.site import (
    BODY,
    LIMIT,
    Answer,
    answer,
    drip,
    exists,
    failing,
    get,
    pictures_example,
    redirect,
    serving,
    silence,
)


def test_an_image_is_downloaded_with_its_name(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/pets/cat.png?size=full": answer()}) as site:
            assert await get(site.url("/pets/cat.png?size=full#top"), destination) == "cat.png"

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY


def test_the_request_has_host_user_agent_and_accept_headers(destination: Path) -> None:
    """Without Host a server may serve another site; a compressed response would defeat the size limit."""

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host="pictures.example")
            await fetch(url, destination, max_bytes=LIMIT, backend=pictures_example())
            head = site.requests[0].decode().lower()
            for line in (
                f"host: pictures.example:{site.port}",
                "user-agent: bgremove/1",
                "accept: image/*",
                "accept-encoding: identity",
            ):
                assert f"\r\n{line}\r\n" in head

    asyncio.run(scenario())


def test_chunked_responses_are_decoded(destination: Path) -> None:
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


def test_proxy_variables_are_ignored(destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy, the address connected to would be the proxy's, and the SSRF check in vain."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            await get(site.url(), destination)
            assert site.paths == ["/cat.png"]

    asyncio.run(scenario())


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


def test_a_redirect_loop_is_an_error(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/a": redirect("/b"), "/b": redirect("/a")}) as site:
            detail = await failing(UrlFailed, get(site.url("/a"), destination), destination)
            assert "redirects too often" in detail
            assert site.paths == ["/a", "/b"] * 3

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
def test_redirects_are_checked_like_the_first_url(location: str, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/a": redirect(location)}) as site:
            await failing(UrlRefused, get(site.url("/a"), destination), destination)
            assert site.paths == ["/a"]

    asyncio.run(scenario())


def test_a_redirect_without_location_is_an_error(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/a": answer("302 Found")}) as site:
            assert "302" in await failing(UrlFailed, get(site.url("/a"), destination), destination)

    asyncio.run(scenario())


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


def test_a_slow_response_times_out(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": drip}) as site:
            detail = await failing(UrlFailed, get(site.url(), destination, timeout_s=0.3), destination)
            assert "too long" in detail

    asyncio.run(scenario())


def test_a_missing_response_times_out(destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": silence}) as site:
            detail = await failing(UrlFailed, get(site.url(), destination, timeout_s=0.3), destination)
            assert "too long" in detail

    asyncio.run(scenario())


def test_a_tls_handshake_that_stalls_keeps_no_connection_open(destination: Path) -> None:
    """Otherwise each such request would leak a file descriptor."""

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
def test_a_truncated_or_invalid_response_is_an_error(page: bytes, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": page}) as site:
            assert "ended the connection early" in await failing(
                UrlFailed, get(site.url(), destination), destination
            )

    asyncio.run(scenario())


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "identity\r\nContent-Encoding: gzip"])
def test_a_compressed_answer_is_refused(coding: str, destination: Path) -> None:
    """Saved as it is, it would be reported as a damaged image."""

    async def scenario() -> None:
        page = answer(also=f"Content-Encoding: {coding}\r\n")
        async with serving({"/cat.png": page}) as site:
            assert "compressed" in await failing(UrlFailed, get(site.url(), destination), destination)

    asyncio.run(scenario())


def test_a_closed_port_is_unreachable(destination: Path) -> None:
    async def scenario() -> None:
        with socket.socket() as bound:  # not listening
            bound.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
            assert "not be reached" in await failing(UrlFailed, get(url, destination), destination)

    asyncio.run(scenario())


def test_an_unknown_host_is_an_error(destination: Path) -> None:
    async def scenario() -> None:
        url = f"http://{'nowhere.' * 40}invalid/cat.png"  # too long for a DNS query
        assert "not known" in await failing(UrlFailed, get(url, destination), destination)

    asyncio.run(scenario())


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
