"""Static files of the page over HTTP: media types, security headers, caching, compression."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.service import OBEYS, Service

WEB = Path(__file__).resolve().parents[2] / "supervisor" / "web" / "static"
FILES = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*.*"))
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def fetch(service: Service, path: str, **headers: str) -> httpx2.Response:
    """Request a file of the page."""
    return service.client.get(service.url + path, headers=headers)


@pytest.mark.parametrize("path", ["/", *(f"/web/{name}" for name in FILES)])
def test_every_file_has_its_media_type_and_security_headers(service: Service, path: str) -> None:
    """Browsers refuse scripts of another type, and the policy blocks everything foreign."""
    answer = fetch(service, path)
    assert answer.status_code == 200
    kind = TYPES[Path(path).suffix or ".html"]
    assert answer.headers["content-type"].split(";")[0] == kind
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (
        answer.content == (WEB / (path.removeprefix("/web/") if path != "/" else "index.html")).read_bytes()
    )


def test_files_are_cached_and_revalidated(service: Service) -> None:
    """An update is used immediately, and an unchanged file is not sent again."""
    first = fetch(service, "/web/js/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = fetch(service, "/web/js/main.js", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


def test_files_are_compressed_if_the_client_accepts_gzip(service: Service) -> None:
    """Slow connections load the page faster."""
    url = service.url + "/web/js/viewer.js"
    plain = service.client.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with service.client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert len(packed) < len(plain.content) / 2
    assert gzip.decompress(packed) == plain.content


def test_only_the_page_needs_no_token(start: Callable[..., Service]) -> None:
    """It has to load in order to ask for the token."""
    service = start(token="s3cret", builtin_worker=OBEYS)
    for path in ("/", "//", "/web/css/base.css", "/web/js/main.js"):
        assert fetch(service, path).status_code == 200
    for path in ("/api/v1/options", "//api/v1/options", "/docs", "/web", "/index.html"):
        assert fetch(service, path).status_code == 401, path


@pytest.mark.parametrize(
    "path",
    [
        "/web/../app.py",
        "/web/%2e%2e/app.py",
        "/web/..%2fapp.py",
        "/web//etc/passwd",
        "/web/js/",
        "/web/no.js",
    ],
)
def test_files_outside_of_the_folder_are_not_served(service: Service, path: str) -> None:
    """Path traversal must not reach the source code."""
    with httpx2.Client() as client:
        answer = client.get(httpx2.URL(service.url).copy_with(raw_path=path.encode()))
    assert answer.status_code in (401, 404)
    assert answer.json()["code"] == "not_found"


def test_only_get_and_head_are_allowed(service: Service) -> None:
    """Other methods get the JSON error body."""
    answer = service.client.post(service.url + "/")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_refused")
    assert service.client.head(service.url + "/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_works_behind_a_path_prefix(service: Service, path: str) -> None:
    """Behind a proxy that serves it at /cutouts/, absolute paths lead to another application."""
    text = fetch(service, path).text
    assert re.search(r"""(href|src)="[a-z]""", text)
    assert not re.search(r"""((href|src)="|url: ')/""", text)
