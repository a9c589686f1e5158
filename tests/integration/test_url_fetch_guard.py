"""SSRF protection of downloads by URL: invalid URLs, private addresses, redirects, DNS rebinding."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.errors import UrlRefused
from supervisor.net.ssrf_protection import GuardedBackend, is_public
from supervisor.net.url_fetch import fetch
from tests.site import (
    BODY,
    LIMIT,
    Answer,
    answer,
    failing,
    redirect,
    serving,
)


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
def test_invalid_urls_are_refused_before_name_resolution(url: str, destination: Path) -> None:
    async def resolve(_: str, __: int) -> list[str]:
        pytest.fail("a name was resolved")

    async def scenario() -> None:
        backend = GuardedBackend(allow=lambda _: True, resolve=resolve)
        await failing(UrlRefused, fetch(url, destination, max_bytes=LIMIT, backend=backend), destination)

    asyncio.run(scenario())


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
def test_private_addresses_are_refused_in_every_spelling(host: str, destination: Path) -> None:
    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host=host)
            await failing(UrlRefused, fetch(url, destination, max_bytes=LIMIT), destination)
            assert site.requests == []

    asyncio.run(scenario())


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "[::ffff:127.0.0.1]", "[::1]", "10.0.0.1"])  # noqa: S104
def test_redirects_to_private_addresses_are_refused(host: str, destination: Path) -> None:
    async def scenario() -> None:
        pages: dict[str, bytes | Answer] = {"/secret": answer()}
        async with serving(pages) as site:
            pages["/start"] = redirect(site.url("/secret", host=host))
            # 127.0.0.1 plays the public server; the other spellings would reach it too.
            backend = GuardedBackend(allow=lambda address: address == "127.0.0.1" or is_public(address))
            fetching = fetch(site.url("/start"), destination, max_bytes=LIMIT, backend=backend)
            await failing(UrlRefused, fetching, destination)
            assert site.paths == ["/start"]

    asyncio.run(scenario())


@dataclass
class Names:
    """A name server that returns its answers in order; 127.0.0.1 counts as public."""

    answers: list[list[str]]

    async def resolve(self, _: str, __: int) -> list[str]:
        return self.answers.pop(0)

    def backend(self) -> GuardedBackend:
        return GuardedBackend(allow="127.0.0.1".__eq__, resolve=self.resolve)


def test_a_name_is_resolved_once_against_dns_rebinding(destination: Path) -> None:
    async def scenario() -> None:
        names = Names([["127.0.0.1"], ["::ffff:127.0.0.1"]])
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host="rebinding.example")
            await fetch(url, destination, max_bytes=LIMIT, backend=names.backend())
        assert names.answers == [["::ffff:127.0.0.1"]]

    asyncio.run(scenario())


def test_a_name_that_becomes_private_between_redirects_is_refused(destination: Path) -> None:
    async def scenario() -> None:
        names = Names([["127.0.0.1"], ["::ffff:127.0.0.1"]])
        async with serving({"/start": redirect("/secret"), "/secret": answer()}) as site:
            url = site.url("/start", host="rebinding.example")
            fetching = fetch(url, destination, max_bytes=LIMIT, backend=names.backend())
            await failing(UrlRefused, fetching, destination)
            assert site.paths == ["/start"]

    asyncio.run(scenario())


def test_of_several_addresses_only_the_public_ones_are_tried(destination: Path) -> None:
    async def scenario() -> None:
        names = Names([["::ffff:127.0.0.1", "10.0.0.1", "127.0.0.1"], ["::ffff:127.0.0.1", "10.0.0.1"]])
        async with serving({"/cat.png": answer()}) as site:
            url = site.url(host="mixed.example")
            await fetch(url, destination, max_bytes=LIMIT, backend=names.backend())
            elsewhere = destination.with_name("second")
            fetching = fetch(url, elsewhere, max_bytes=LIMIT, backend=names.backend())
            await failing(UrlRefused, fetching, elsewhere)
            assert len(site.requests) == 1

    asyncio.run(scenario())


def test_after_an_unreachable_address_the_next_is_tried(destination: Path) -> None:
    async def resolve(_: str, __: int) -> list[str]:
        return ["::1", "127.0.0.1"]  # the server listens on the second only

    async def scenario() -> None:
        async with serving({"/cat.png": answer()}) as site:
            backend = GuardedBackend(allow=lambda _: True, resolve=resolve)
            url = site.url(host="twofold.example")
            await fetch(url, destination, max_bytes=LIMIT, backend=backend)

    asyncio.run(scenario())
    assert destination.read_bytes() == BODY
