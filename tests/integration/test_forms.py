"""Forms as programs send them, and forms that are made to hold others up."""

import base64
import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.photos import wish
from tests.service import OBEYS, Service, wait_for

PHOTO = wish("photo")
CRLF = b"\r\n"


def part(headers: str, content: bytes) -> bytes:
    """Return one part of a form."""
    return b"--b\r\n" + headers.encode() + CRLF + CRLF + content + CRLF


def send(service: Service, *parts: bytes, path: str = "/api/v1/remove/upload", charset: str = "") -> Any:
    """Send a form of these parts and return the response."""
    headers = {"Content-Type": f"multipart/form-data; boundary=b{charset}"}
    return service.client.post(service.url + path, content=b"".join(parts) + b"--b--\r\n", headers=headers)


def result_name(service: Service, response: Any) -> str:
    """Return the file name of the result of an upload."""
    assert response.status_code == 200, response.text
    task_id = response.json()["task_id"]
    assert service.finished(task_id)["status"] == "complete"
    url = service.client.get(f"/remove/result/{task_id}").json()["original_url"]
    header = service.client.get(url.removeprefix("/api/v1")).headers["content-disposition"]
    return str(header)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("name=\"file\"; filename*=utf-8''%D0%BA%D0%BE%D1%82.jpg", "%D0%BA%D0%BE%D1%82.jpg"),
        ("name=\"file\"; filename*=iso-8859-1'en'%A3.jpg", "%C2%A3.jpg"),
        ('name=file; filename="=?utf-8?B?0LrQvtGCLmpwZw==?="', "%D0%BA%D0%BE%D1%82.jpg"),
        ('name=file; filename="=?utf-8?Q?=D0=BA=D0=BE=D1=82.jpg?="', "%D0%BA%D0%BE%D1%82.jpg"),
        ("name=file; filename=\"x.jpg\"; filename*=utf-8''%D0%BA.jpg", "%D0%BA.jpg"),
        (
            'name="file"; filename="=?no-such-charset?B?0LrQvtGC?="',
            "%3D_no-such-charset_B_0LrQvtGC_%3D",
        ),
        ('NAME="file"; FILENAME="a;b.jpg"', "a%3Bb.jpg"),
        ('name="file"; filename="C:\\\\fakepath\\\\cat.jpg"', "cat.jpg"),
        ('name="file"; filename=""', "image"),
    ],
)
def test_a_file_name_is_read_however_it_is_encoded(fake: Service, disposition: str, name: str) -> None:
    """Of .NET's, browsers' and curl's ways, all but one were refused or kept as they were."""
    form = part(f"Content-Disposition: form-data; {disposition}\r\nContent-Type: image/png", PHOTO)
    assert f"filename*=UTF-8''{name}" in result_name(fake, send(fake, form))


def test_a_file_in_base64_is_decoded(fake: Service) -> None:
    """It was called no image, which it is."""
    text = base64.encodebytes(wish("x" * 3_000_000))
    headers = (
        'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Transfer-Encoding: BASE64'
    )
    response = send(fake, part(headers, text))
    task_id = response.json()["task_id"]
    assert fake.finished(task_id)["status"] == "complete"
    url = fake.client.get(f"/remove/result/{task_id}").json()["result_url"]
    assert fake.client.get(url.removeprefix("/api/v1")).content == wish("x" * 3_000_000)


@pytest.mark.parametrize(
    ("encoding", "content", "word"),
    [
        ("quoted-printable", PHOTO, "Content-Transfer-Encoding"),
        ("base64", b"%%%%", "base64"),
        ("base64", b"abc", "base64"),
        ("x" * 5000, PHOTO, "Transfer-Encoding"),
    ],
)
def test_an_encoding_that_cannot_be_decoded_is_named(
    fake: Service, encoding: str, content: bytes, word: str
) -> None:
    """The program's author has to learn what to change."""
    headers = (
        f'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Transfer-Encoding: {encoding}'
    )
    response = send(fake, part(headers, content))
    assert response.status_code in (400, 422)
    if len(encoding) < 100:
        assert word in response.json()["detail"]
    assert len(response.text) < 500


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg; charset=binary", "IMAGE/PNG"])
def test_a_photo_may_be_the_body(fake: Service, kind: str) -> None:
    """As curl --data-binary sends it, with its options in the address."""
    large = wish("x" * 2_000_000)
    response = fake.client.post(
        "/remove/upload", params={"format": "png"}, content=large, headers={"Content-Type": kind}
    )
    assert response.status_code == 200, response.text
    assert fake.finished(response.json()["task_id"])["status"] == "complete"
    for path in ("/api/remove", "/v1.0/removebg"):
        answer = fake.client.post(fake.url + path, content=PHOTO, headers={"Content-Type": kind})
        assert (answer.status_code, answer.content) == (200, PHOTO), answer.text
    wrong = fake.client.post(
        "/remove/upload", params={"nonsense": "1"}, content=PHOTO, headers={"Content-Type": kind}
    )
    assert (wrong.status_code, "'nonsense'" in wrong.text) == (422, True)


ROUTES = ("/api/v1/remove/upload", "/api/remove", "/v1.0/removebg")
FILE_FIELDS = dict(zip(ROUTES, ("file", "file", "image_file"), strict=True))
LONG = "x" * 1_000_000


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("where", ["name", "value", "file name's field", "header", "number"])
def test_no_text_is_as_long_as_a_photo(fake: Service, path: str, where: str) -> None:
    """A megabyte of text was parsed on the event loop, or given back in the error."""
    disposition = "Content-Disposition: form-data; name="
    photo = part(f'{disposition}"{FILE_FIELDS[path]}"; filename="a.png"', PHOTO)
    forms = {
        "name": part(f'{disposition}"{LONG}"', b"1"),
        "value": part(f'{disposition}"crop_margin"', LONG.encode()),
        "file name's field": part(f'{disposition}"{LONG}"; filename="a.png"', PHOTO),
        "header": part(f'{disposition}"crop"\r\nX-Long: {LONG}', b"1"),
        "number": b"".join(part(f'{disposition}"f{number}"', b"1") for number in range(5000)),
    }
    began = time.monotonic()
    response = send(fake, photo, forms[where], path=path)
    assert response.status_code in (400, 413, 422)
    assert len(response.content) < 1000
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("name", ["crop_margin", "bg_color", "image_url", "size", "nonsense", "y" * 3000])
def test_remove_bg_parameters_are_bounded_but_for_the_base64(fake: Service, kind: str, name: str) -> None:
    """Three megabytes of margins kept everybody waiting for four seconds."""
    fields = {"image_file_b64": base64.b64encode(PHOTO).decode(), name: "1% " * 1_000_000}
    if kind == "application/json":
        content = json.dumps(fields).encode()
    else:
        content = "&".join(f"{key}={value.replace(' ', '+')}" for key, value in fields.items()).encode()
    response = fake.client.post(fake.url + "/v1.0/removebg", content=content, headers={"Content-Type": kind})
    assert response.status_code == 400
    assert len(response.content) < 1000
    assert "errors" in response.json()


@pytest.mark.parametrize(
    "path", ["/api/v1/remove/load", "/api/v1/remove/url", "/api/v1/worker/restart", "/api/v1/env/install"]
)
@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "multipart/form-data; boundary=b", "image/png", ""]
)
def test_routes_without_files_take_no_large_bodies(fake: Service, path: str, kind: str) -> None:
    """Sixteen of 129 MiB were gathered in two gigabytes of the supervisor's memory."""
    headers = {"Content-Type": kind} if kind else {}
    response = fake.client.post(fake.url + path, content=b"x" * 200_000, headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, "upload_too_large")


def test_query_texts_are_cut_where_they_are_quoted(fake: Service) -> None:
    """A client's text may be sixty thousand characters long there."""
    name = "n" * 20_000
    for path, parameters in (("/api/v1/remove/upload", {name: "1"}), ("/api/remove", {"model": name})):
        response = fake.client.post(fake.url + path, params=parameters, files={"file": ("a.png", PHOTO)})
        assert response.status_code in (400, 422)
        assert len(response.content) < 1000


def test_the_incoming_folder_is_empty_afterwards(fake: Service) -> None:
    """An upload that broke off would stay until the service ends."""
    large = wish("x" * 3_000_000)
    fake.cut(large)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    broken = part('Content-Disposition: form-data; name="file"; filename="a"', large)[:-1000]
    response = fake.client.post("/remove/upload", content=broken, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_request")
    (folder,) = Path(fake.temp_dir).glob("spool/1/incoming")
    wait_for(lambda: not list(folder.iterdir()))  # closed after the response was sent


def test_bodies_in_memory_share_a_budget(start: Any) -> None:
    """Sixteen photos in base64 took two gigabytes of the supervisor, while it received them."""
    service = start(builtin_worker=OBEYS, max_upload_bytes=8_000_000)
    body = b'{"image_file_b64": "' + b"A" * 11_000_000
    head = (
        "POST /v1.0/removebg HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) + 2}\r\n\r\n"
    )
    connections = []
    try:
        statuses = []
        for _ in range(6):
            connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
            connections.append(connection)
            with contextlib.suppress(OSError):
                connection.sendall(head.encode() + body)
        for connection in connections:
            connection.settimeout(1)
            with contextlib.suppress(TimeoutError):
                statuses.append(connection.recv(12))
        assert statuses.count(b"HTTP/1.1 429") == 4
        assert service.client.get("/health").status_code == 200
    finally:
        for connection in connections:
            connection.close()
    photo = base64.b64encode(PHOTO).decode()
    wait_for(lambda: answer_to(service, photo).status_code == 200)


def answer_to(service: Service, photo: str) -> Any:
    """Send a photo in base64 and return the response."""
    return service.client.post(service.url + "/v1.0/removebg", json={"image_file_b64": photo})
