"""Requests that few clients send, over a raw socket: read as the standards say, or refused with a reason."""

import gzip
import socket

import pytest

from tests.photos import wish
from tests.service import OBEYS, Service, running

ROUTES = {"/api/v1/remove/upload": "file", "/api/remove": "file", "/v1.0/removebg": "image_file"}
routes = pytest.mark.parametrize("path", ROUTES)


def exchange(service: Service, target: str, body: bytes, host: str = "", **headers: str) -> tuple[int, bytes]:
    """Send a request, byte for byte, and return the status and the whole response."""
    lines = {
        "Host": host or f"127.0.0.1:{service.port}",
        "Content-Type": "multipart/form-data; boundary=B",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(response.split()[1]), response


def form(path: str, before: bytes = b"", after: bytes = b"\r\n", line: bytes = b"\r\n") -> bytes:
    """Return a form with a photo, and what is around its parts."""
    lines = [
        b"--B",
        f'Content-Disposition: form-data; name="{ROUTES[path]}"; filename="a.png"'.encode(),
        b"Content-Type: image/png",
        b"",
        wish(),
        b"--B--",
    ]
    return before + line.join(lines) + after


@routes
@pytest.mark.parametrize(
    "before",
    [
        b"\r\n",
        b"This is a message in MIME format.\r\n",
        b"--\r\n-- B\r\n--A\r\n",
        b"x--B\r\n",
        b"\n",
        b"y" * 4000 + b"\r\n",
    ],
)
@pytest.mark.parametrize("after", [b"", b"\r\n", b"\r\nThis is the end.", b"\r\n--B\r\n"])
def test_what_is_around_the_parts_is_ignored(fake: Service, path: str, before: bytes, after: bytes) -> None:
    """Preamble and epilogue (RFC 2046, 5.1.1), which mail programs and old libraries write."""
    assert exchange(fake, path, form(path, before, after))[0] == 200


@routes
def test_a_preamble_may_come_in_pieces(fake: Service, path: str) -> None:
    """A delimiter that two packets divide is one."""
    body = form(path, b"Preamble\r\n")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        f"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunks = b"".join(b"1\r\n" + body[at : at + 1] + b"\r\n" for at in range(len(body))) + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", fake.port), timeout=20) as connection:
        connection.sendall(head + chunks)
        assert connection.recv(65536).split()[1] == b"200"


@routes
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("lf", b"CR LF"),
        (b"no delimiter at all", b"boundary that its Content-Type names"),
        (b"z" * 9000, b"boundary that its Content-Type names"),
        (b"x--B--\r\n", b"boundary that its Content-Type names"),
    ],
)
def test_other_forms_are_refused_with_the_reason(
    fake: Service, path: str, body: bytes | str, reason: bytes
) -> None:
    """Lines that end in LF alone could not be distinguished from the photo's bytes."""
    content = form(path, line=b"\n") if isinstance(body, str) else body
    status, response = exchange(fake, path, content)
    assert status == 400
    assert reason in response


@routes
def test_a_part_with_an_extended_file_name_alone_is_a_file(fake: Service, path: str) -> None:
    """RFC 5987; some libraries send no other one for names that are not ASCII."""
    body = form(path).replace(b'filename="a.png"', b"filename*=UTF-8''caf%C3%A9.png")
    assert exchange(fake, path, body)[0] == 200


@routes
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate, gzip"])
def test_a_compressed_body_is_refused_by_its_encoding(fake: Service, path: str, encoding: str) -> None:
    """It was read as if it were not compressed, and the error named the form."""
    status, response = exchange(fake, path, gzip.compress(form(path)), Content_Encoding=encoding)
    assert status == (400 if path.startswith("/v1.0/") else 415)
    assert b"without Content-Encoding" in response
    assert exchange(fake, path, form(path), Content_Encoding="identity")[0] == 200


@routes
def test_targets_in_other_forms_reach_the_same_route(fake: Service, path: str) -> None:
    """Proxies send absolute ones; clients whose base address ends in a slash double it."""
    for target in (f"http://127.0.0.1:{fake.port}{path}", f"HTTP://127.0.0.1{path}", f"/{path}", f"//{path}"):
        assert exchange(fake, target, form(path))[0] == 200, target


@routes
def test_the_host_of_an_absolute_target_counts(fake: Service, path: str) -> None:
    """Else the check against DNS rebinding would use another name than the requested one."""
    for host in ("", "evil.example"):
        status, response = exchange(fake, f"http://evil.example{path}", form(path), host)
        assert (status, b"host_refused" in response) == (403, True)
    assert exchange(fake, f"http://127.0.0.1{path}", form(path), "evil.example")[0] == 200


def test_no_form_of_a_target_gets_round_the_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each check must see the path that the router sees."""
    folder = tmp_path_factory.mktemp("token")
    with running(folder / "data", folder / "temp", builtin_worker=OBEYS, token="s3cret") as service:
        for path in ROUTES:
            host = f"http://127.0.0.1:{service.port}"
            for target in (f"/{path}", f"//{path}", f"{host}{path}", f"{host}/{path}"):
                status, _ = exchange(service, target, form(path))
                assert status == (403 if path.startswith("/v1.0/") else 401), target
            headers = {"Origin": "http://evil.example", "X_API_Key": "s3cret"}
            assert exchange(service, f"/{path}", form(path), **headers)[0] == 403
