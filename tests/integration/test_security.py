"""Who may talk to the service: names, origins, the token."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.photos import wish
from tests.service import OBEYS, Service, running

EVERY_ROUTE = [
    ("GET", "/api/v1/health"),
    ("GET", "/api/v1/status"),
    ("GET", "/api/v1/tasks"),
    ("GET", "/api/v1/files/" + "0" * 32),
    ("POST", "/api/v1/remove/upload"),
    ("POST", "/api/v1/remove/url"),
    ("GET", "/api/v1/env/status"),
    ("POST", "/api/v1/env/install"),
    ("DELETE", "/api/v1/tasks/x"),
    ("OPTIONS", "/api/v1/status"),
    ("GET", "/api/v1/metrics"),
    ("GET", "/metrics"),
    ("GET", "/api/remove"),
    ("POST", "/api/remove"),
    ("GET", "/docs"),
    ("GET", "/"),
    ("GET", "/web/js/main.js"),
    ("GET", "/nowhere"),
]

OPEN = {"/api/v1/health", "/", "/web/js/main.js"}


@pytest.fixture(scope="module")
def guarded(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token, and with pages of an application that it lets in."""
    settings = {"allowed_origins": "null,file://", "token": "s3cret\n", "builtin_worker": OBEYS}
    with running(data_dir, tmp_path_factory.mktemp("guarded") / "temp", **settings) as service:
        yield service


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:6905", "127.0.0.1.evil.example", "", "[::1", "a@b"]
)
def test_another_host_name_is_refused_everywhere(service: Service, method: str, path: str, host: str) -> None:
    """A page whose name was rebound to 127.0.0.1 must get nothing (DNS rebinding)."""
    answer = service.client.request(method, service.url + path, headers={"Host": host})
    assert answer.status_code in ((400, 403) if not host else (403,))


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST:6905", "127.0.0.1", "[::1]:6905"])
def test_the_names_of_this_machine_are_welcome(service: Service, host: str) -> None:
    """The user may type localhost."""
    assert service.client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "file://", "http://127.0.0.1:1", "http://["]
)
@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p in EVERY_ROUTE if m in ("POST", "DELETE")])
def test_a_foreign_page_cannot_change_anything(service: Service, method: str, path: str, origin: str) -> None:
    """A web page in the user's browser must not use the user's service."""
    answer = service.client.request(method, service.url + path, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    assert "access-control-allow-origin" not in answer.headers


def test_a_foreign_page_can_read_nothing(service: Service) -> None:
    """Without CORS headers the browser keeps the answer from the page."""
    answer = service.client.get("/status", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    preflight = service.client.options(
        "/remove/url", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in preflight.headers


def test_our_own_page_may_do_everything(service: Service) -> None:
    """The page that the service itself serves has its own origin."""
    answer = service.client.request("DELETE", "/tasks/x", headers={"Origin": service.url})
    assert answer.status_code == 404


def test_electron_pages_are_let_in_by_setting(start: Callable[..., Service]) -> None:
    """A file:// page sends the origin null; the setting opens exactly that."""
    service = start(allowed_origins="null,https://app.example")
    for origin in ("null", "https://app.example"):
        answer = service.client.get("/status", headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        readable = answer.headers["access-control-expose-headers"]
        for name in ("Content-Disposition", "Retry-After", "X-Width", "X-Type", "X-Foreground-Top"):
            assert name in readable, name
        assert service.client.delete("/tasks/x", headers={"Origin": origin}).status_code == 404
    assert service.client.delete("/tasks/x", headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        ({"allowed_origins": "null"}, 1),
        ({"allowed_origins": "null", "token": "s3cret"}, 0),
        ({"allowed_origins": "app://.,file://"}, 0),
    ],
)
def test_who_lets_every_website_in_is_warned(
    start: Callable[..., Service], settings: dict[str, str], warnings: int
) -> None:
    """A frame in any page can have the origin null, and this one could list the photos."""
    assert start(**settings).log.count("any website can call this API") == warnings


@pytest.mark.parametrize("origin", ["null", "file://"])
def test_an_allowed_page_can_read_why_it_is_refused(guarded: Service, origin: str) -> None:
    """Otherwise its user takes a wrong token for a service that does not run."""
    headers = {"Origin": origin, "Content-Type": "application/json"}
    wrong_token = guarded.client.post("/remove/url", content=b"{}", headers=headers)
    headers["X-API-Key"] = "s3cret"
    too_long = guarded.client.post("/remove/url", content=b" " * 100_000, headers=headers)
    for answer, code in ((wrong_token, "unauthorized"), (too_long, "upload_too_large")):
        assert answer.json()["code"] == code
        assert answer.headers["access-control-allow-origin"] == origin
    foreign = guarded.client.post("/remove/url", headers={"Origin": "https://evil.example"})
    assert foreign.json()["code"] == "origin_refused"
    assert "access-control-allow-origin" not in foreign.headers


def test_any_page_may_call_a_service_with_a_token(start: Callable[..., Service]) -> None:
    """As it may call remove.bg: the page needs the token, which no other page in the browser has."""
    service = start(allowed_origins="*", token="s3cret", builtin_worker=OBEYS)
    address = f"{service.url}/v1.0/removebg"
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    preflight = service.client.options(address, headers=asked)
    without = service.client.post(address, headers={"Origin": "https://shop.example"})
    headers = {"Origin": "https://shop.example", "X-API-Key": "s3cret"}
    answer = service.client.post(address, files={"image_file": wish()}, headers=headers)
    assert (preflight.status_code, without.status_code, answer.status_code) == (200, 403, 200)
    assert without.json()["errors"][0]["code"] == "auth_failed"
    for each in (preflight, without, answer):
        assert each.headers["access-control-allow-origin"] == "*"
    assert "X-Foreground-Top" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [("null", None, 200), ("https://evil.example", None, 400), ("null", "evil.example", 403)],
)
def test_a_preflight_needs_an_allowed_origin_and_a_known_name_but_no_token(
    guarded: Service, origin: str, host: str | None, status: int
) -> None:
    """Browsers ask before they send a page's token."""
    for method, path in (("POST", "/remove/url"), ("DELETE", "/tasks/x")):
        asked = {"Origin": origin, "Access-Control-Request-Method": method} | ({"Host": host} if host else {})
        answer = guarded.client.options(path, headers=asked)
        assert answer.status_code == status
        assert ("access-control-allow-origin" in answer.headers) == (status == 200)


def test_with_a_token_every_route_but_health_and_the_page_wants_it(guarded: Service) -> None:
    """Somebody else on the network must not use the service, nor look at its results."""
    for method, path in EVERY_ROUTE:
        status = guarded.client.request(method, guarded.url + path).status_code
        open_to_all = path in OPEN or method == "OPTIONS"
        assert (status != 401) if open_to_all else (status == 401), path
    for headers in ({"Authorization": "Bearer s3cret"}, {"X-API-Key": "s3cret"}):
        assert guarded.client.get("/status", headers=headers).status_code == 200
    wrong = ("s3cre", "s3cret2", "S3CRET", "S3cret", "s3 cret", "ü")
    refused = [{"X-API-Key": token} for token in wrong] + [
        {"Authorization": f"Bearer {each}"} for each in wrong
    ]
    for headers in (*refused, {"Authorization": "Basic s3cret"}, {"Authorization": "s3cret"}):
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        assert httpx2.get(f"{guarded.url}/api/v1/status", headers=encoded).status_code == 401, headers
    authorised = {"Authorization": "bearer s3cret"}
    answer = guarded.client.post("/remove/upload", files={"file": ("p.png", wish())}, headers=authorised)
    assert answer.status_code == 200
    assert "s3cret" not in guarded.log
