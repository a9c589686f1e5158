"""What is written is true: the README's settings and the OpenAPI page."""

import re
from pathlib import Path

from shared.options import declared_options
from supervisor.settings import PREFIX, Settings
from tests.service import Service

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_lists_every_setting_with_its_default() -> None:
    """An operator trusts the table."""
    rows = dict(re.findall(rf"^\| `{PREFIX}(\w+)` \| ([^|]*) \|", README.read_text(), re.MULTILINE))
    assert set(rows) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        told = rows[name.upper()].strip().strip("`")
        default = field.default
        if field.default_factory is None:
            expected = ",".join(default) if isinstance(default, tuple) else str(default).lower()
            assert told.lower() == {"none": "", "": ""}.get(expected, expected), name


def test_openapi_knows_every_route_and_option(service: Service) -> None:
    """The page at /docs is the reference that developers use."""
    schema = service.client.get(f"{service.url}/openapi.json").json()
    expected = {
        "/health",
        "/ready",
        "/options",
        "/status",
        "/metrics",
        "/remove/upload",
        "/remove/url",
        "/remove/download",
        "/remove/stream/{task_id}",
        "/remove/result/{task_id}",
        "/files/{file_id}",
        "/env/status",
        "/env/install",
        "/env/install/stream/{task_id}",
        "/tasks",
        "/tasks/{task_id}",
    }
    assert expected <= {path.removeprefix("/api/v1") for path in schema["paths"]}
    for name in ("UploadForm", "UrlRequest"):
        properties = schema["components"]["schemas"][name]["properties"]
        for option in declared_options():
            if name == "UrlRequest" and option.kind == "image":
                assert option.name not in properties, "JSON carries no file"
                continue
            assert tuple(properties[option.name].get("enum", ())) == option.choices
            assert properties[option.name].get("default") == option.default
            assert properties[option.name]["description"] == option.help
    told = schema["components"]["schemas"]["Result"]["properties"]
    assert {"subject", "coverage", "box", "frame"} <= set(told)
    upload = schema["paths"]["/api/v1/remove/upload"]["post"]["responses"]
    assert "Retry-After" in upload["429"]["headers"]
    assert {"invalid_option", "not_an_image", "queue_full", "worker_start_failed"} <= set(
        re.findall(r"`(\w+)`", " ".join(answer["description"] for answer in upload.values()))
    )
    assert {"404", "409", "410"} <= set(schema["paths"]["/api/v1/tasks/{task_id}"]["delete"]["responses"])
    assert "image/webp" in schema["paths"]["/api/v1/files/{file_id}"]["get"]["responses"]["200"]["content"]


def test_the_reference_needs_no_other_host(service: Service) -> None:
    """It is to be read offline, and foreign scripts could do all that the user can."""
    page = service.client.get(f"{service.url}/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self' 'sha256-" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    named = re.findall(r"""(?:href|src)="(.*?)"|url: '(.*?)'""", page.text)
    assert len(named) == 4
    for path in map("".join, named):
        assert service.client.get(service.url + path).status_code == 200, path
    assert service.client.get(f"{service.url}/redoc").status_code == 404, "this page of FastAPI's needs one"
