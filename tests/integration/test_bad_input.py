"""Bad input gets a clear error, leaves no file, and harms nobody else."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.api.middleware.body_limit import MAX_TEXT_BYTES
from tests.photos import wish
from tests.service import OBEYS, Service, running

LIMIT_BYTES = 100_000


@pytest.fixture(scope="module")
def fake(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One supervisor with a small upload limit."""
    temp_dir = tmp_path_factory.mktemp("bad") / "temp"
    with running(data_dir, temp_dir, builtin_worker=OBEYS, max_upload_bytes=LIMIT_BYTES) as shared:
        yield shared
        shared.cut(wish())  # whatever was sent before, the service still works


def refused(answer: Any, status: int, code: str) -> str:
    """Check an error's form and return its sentence."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"detail", "code"}
    assert body["code"] == code
    assert "/" not in body["detail"].replace("http://", "").replace("https://", "")
    return str(body["detail"])


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x00" * 64]
)
def test_what_is_no_image_is_refused_at_once(fake: Service, content: bytes) -> None:
    """The user learns it while still looking at the upload."""
    refused(fake.client.post("/remove/upload", files={"file": ("x.png", content)}), 415, "not_an_image")


def test_a_wrong_field_name_is_named(fake: Service) -> None:
    """A developer sees which field is missing."""
    answer = fake.client.post("/remove/upload", files={"image": ("x.png", wish())})
    assert "'file'" in refused(answer, 422, "invalid_request")


def test_a_text_field_called_file_is_no_file(fake: Service) -> None:
    """A form that forgot its enctype gets an answer, not a crash."""
    refused(fake.client.post("/remove/upload", data={"file": "hello"}), 422, "invalid_request")


@pytest.mark.parametrize(
    ("option", "value", "code"), [("model", "gpt", "unknown_model"), ("output", "video", "invalid_option")]
)
def test_an_unknown_option_value_is_named(fake: Service, option: str, value: str, code: str) -> None:
    """A typo must not silently give the default."""
    answer = fake.client.post("/remove/upload", files={"file": ("x.png", wish())}, data={option: value})
    assert option in refused(answer, 422, code)


def test_what_a_form_asks_twice_or_in_the_address_is_not_ignored(fake: Service) -> None:
    """The client would take the default for what it asked for."""
    photo = ("x.png", wish())
    answer = fake.client.post("/remove/upload?output=mask", files={"file": photo})
    assert "'output'" in refused(answer, 422, "invalid_request")
    answer = fake.client.post("/remove/upload", files=[("file", photo), ("file", photo)])
    assert "2 times" in refused(answer, 422, "invalid_request")
    answer = fake.client.post("/remove/load", json={"model": "builtin"})
    assert "'model'" in refused(answer, 422, "invalid_option")


def test_a_restart_of_a_model_that_is_not_there_says_what_to_do(fake: Service) -> None:
    """It would end a worker for nothing, and leave an error in the status that no download takes away."""
    refused(fake.client.post("/worker/restart?model=birefnet"), 409, "model_unavailable")
    assert fake.client.get("/status").json()["models"]["background_removal"]["model_error"] is None


def test_common_slips_of_curl_are_told_in_words(fake: Service) -> None:
    """-F file=photo.jpg without the @, a photo by -d, and -d with JSON but without its type."""
    answer = fake.client.post("/remove/upload", data={"file": "photo.jpg"})
    assert "-F file=@photo.jpg" in refused(answer, 422, "invalid_request")
    answer = fake.client.post("/remove/upload", data={"file": "x" * MAX_TEXT_BYTES})
    assert "as curl -F does" in refused(answer, 413, "upload_too_large")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = fake.client.post("/remove/url", content=b'{"url": "http://a.example"}', headers=kind)
    assert "Content-Type" in refused(answer, 422, "invalid_request")
    assert "method" in refused(fake.client.get("/remove/upload"), 405, "method_refused")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/tasks/x", "DELETE, GET, HEAD"),
        ("/api/v1/health", "GET, HEAD"),
        ("/api/v1/remove/upload", "POST"),
        ("/api/remove", "GET, POST"),
        ("/v1.0/removebg", "POST"),
        ("/web/no.js", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ],
)
def test_a_refused_method_comes_with_those_that_work(fake: Service, path: str, methods: str) -> None:
    """A developer would read that a task cannot be deleted, nor a health asked for by HEAD."""
    answer = fake.client.put(fake.url + path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)


def test_json_is_read_as_forms_are(fake: Service) -> None:
    """Numbers without quotes, and empty values from generated clients."""
    body = {"url": "http://127.0.0.1/a.png", "crop_margin": 20, "background": "", "model": ""}
    task = fake.finished(fake.client.post("/remove/url", json=body).json()["task_id"])
    assert task["code"] == "url_refused"


def test_an_unknown_option_is_refused_by_name(fake: Service) -> None:
    """What cannot be honoured is not ignored."""
    answer = fake.client.post("/remove/upload", files={"file": ("x.png", wish())}, data={"sharpen": "1"})
    assert "'sharpen'" in refused(answer, 422, "invalid_request")


def test_a_load_of_a_model_that_is_not_there_says_what_to_do(fake: Service) -> None:
    """The way to a loaded model goes through its download."""
    sentence = refused(fake.client.post("/remove/load"), 409, "model_unavailable")
    assert "download it first" in sentence


def test_an_upload_over_the_limit_is_refused(fake: Service) -> None:
    """The limit counts the file, whatever else the form holds."""
    big = wish("x" * LIMIT_BYTES)
    refused(fake.client.post("/remove/upload", files={"file": ("x.png", big)}), 413, "upload_too_large")


def test_a_huge_upload_is_refused_by_its_announced_length(fake: Service) -> None:
    """Without reading it: nobody waits for gigabytes that will be thrown away."""
    request = (
        f"POST /api/v1/remove/upload HTTP/1.1\r\nHost: 127.0.0.1:{fake.port}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {10**10}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", fake.port), timeout=5) as connection:
        connection.sendall(request.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_huge_chunked_upload_is_cut_off(fake: Service) -> None:
    """A body without a length must not fill the disk either."""

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n' + wish()
        for _ in range(40):
            yield b"x" * 100_000
        yield b"\r\n--b--\r\n"

    answer = fake.client.post(
        "/remove/upload", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    refused(answer, 413, "upload_too_large")


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/x+json",
        "application/x-www-form-urlencoded",
    ],
)
@pytest.mark.parametrize("path", ["/remove/url", "/env/install"])
@pytest.mark.parametrize("chunked", [False, True])
def test_text_longer_than_any_request_is_refused(
    fake: Service, path: str, kind: str, *, chunked: bool
) -> None:
    """Parsing it would keep everybody else waiting."""
    body = b"[" + b"[]," * 30_000 + b"[]]"
    content = iter((body[:50_000], body[50_000:])) if chunked else body
    answer = fake.client.post(path, content=content, headers={"Content-Type": kind})
    assert "request" in refused(answer, 413, "upload_too_large")


def test_a_broken_form_is_bad_input(fake: Service) -> None:
    """Garbage in the form's framing is the client's fault, and is reported as that."""
    answer = fake.client.post(
        "/remove/upload", content=b"garbage", headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"detail", "code"}


@pytest.mark.parametrize("charset", ["punycode", '"unicode_escape"', "UTF-16", "no-such-charset"])
def test_a_form_in_an_odd_charset_is_refused_unread(fake: Service, charset: str) -> None:
    """Some codecs take minutes for it, while nobody else is served, or make names that nobody can write."""
    body = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + b"b" * 40_000 + b"\r\n--b--\r\n"
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    answer = fake.client.post("/remove/upload", content=body, headers={"Content-Type": kind})
    assert "charset" in refused(answer, 400, "malformed_request")


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"us-ascii"', "ISO-8859-1"])
def test_a_form_in_a_usual_charset_is_read(fake: Service, charset: str) -> None:
    """Some clients' libraries name theirs."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    body = head + wish() + b"\r\n--b--\r\n"
    answer = fake.client.post("/remove/upload", content=body, headers={"Content-Type": kind})
    assert fake.finished(answer.json()["task_id"])["status"] == "complete"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"url": 5}', b"{}", b'{"url": "http://a/", "x": 1}', rb'{"\ud800": 1}']
)
def test_a_wrong_url_request_is_bad_input(fake: Service, body: bytes) -> None:
    """JSON that is not what the route wants gets a sentence."""
    refused(
        fake.client.post("/remove/url", content=body, headers={"Content-Type": "application/json"}),
        422,
        "invalid_request",
    )


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/a.png", "http://u:p@example.com/", "//x"]
)
def test_a_url_of_another_kind_is_refused_at_once(fake: Service, url: str) -> None:
    """Only pictures on the web are fetched."""
    assert fake.client.post("/remove/url", json={"url": url}).json()["code"] == "url_refused"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"])
def test_a_url_into_this_machine_is_refused(fake: Service, host: str) -> None:
    """The service must not be a way around the firewall to its own network."""
    answer = fake.client.post("/remove/url", json={"url": f"http://{host}:{fake.port}/api/v1/health"})
    task_id = answer.json()["task_id"]
    assert fake.finished(task_id)["code"] == "url_refused"
    refused(fake.client.get(f"/remove/result/{task_id}"), 400, "url_refused")


BAD_IDS = [
    "../x",
    "..%2fx",
    "%2e%2e/%2e%2e/etc/passwd",
    "%00",
    "C:%5Cx",
    "c:",
    "a" * 5000,
    "💥",
    "bgremove_x",
]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize(
    "route",
    ["/files/{}", "/tasks/{}", "/remove/result/{}", "/remove/stream/{}"],
    ids=lambda route: route[1:-3],
)
def test_ids_that_are_paths_are_unknown(fake: Service, route: str, bad: str) -> None:
    """No id may ever reach the file system."""
    refused(fake.client.get(route.format(bad)), 404, "not_found")


@pytest.mark.parametrize("path", ["/v1.0/removebg", "/api/remove", "/api/v1/remove/upload"])
def test_a_client_that_hangs_up_in_the_middle_leaves_the_log_alone(fake: Service, path: str) -> None:
    """Phones lose their network: the log was pages of tracebacks, among which nobody finds a fault."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    with socket.create_connection(("127.0.0.1", fake.port), timeout=5) as connection:
        connection.sendall(f"{head}Content-Type: multipart/form-data; boundary=X\r\n\r\n--X".encode())
    fake.cut(wish())  # meanwhile the hanging up is noticed
    assert "ERROR" not in fake.log


def test_no_refused_upload_leaves_a_file(fake: Service) -> None:
    """Disk space and privacy: what was refused is gone."""
    fake.client.post("/remove/upload", files={"file": ("x.png", b"nope")})
    task_id = fake.upload(wish("fail"))
    fake.finished(task_id)
    assert {path.name for path in fake.temp_dir.rglob(f"{task_id}/*")} == {"job.json", "end.json"}
