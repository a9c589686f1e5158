"""The OpenAPI schema and the reference at /docs, which developers and generated clients use."""

import re

from shared.option_descriptions import describe_options
from supervisor.app import create_app
from supervisor.settings import load_settings
from tests.service import Service


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
        "/models",
        "/models/{name}/load",
        "/models/{name}",
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
        for option in describe_options():
            if name == "UrlRequest" and option.kind == "image":
                assert option.name not in properties, "JSON carries no file"
                continue
            assert tuple(properties[option.name].get("enum", ())) == option.choices
            assert properties[option.name].get("default") == option.default
            assert properties[option.name]["description"] == option.help
    fields = schema["components"]["schemas"]["Result"]["properties"]
    assert {"subject", "coverage", "box", "frame", "warnings"} <= set(fields)
    upload = schema["paths"]["/api/v1/remove/upload"]["post"]["responses"]
    assert "Retry-After" in upload["429"]["headers"]
    assert {"invalid_option", "not_an_image", "queue_full", "worker_start_failed"} <= set(
        re.findall(r"`(\w+)`", " ".join(answer["description"] for answer in upload.values()))
    )
    assert {"404", "409", "410"} <= set(schema["paths"]["/api/v1/tasks/{task_id}"]["delete"]["responses"])
    for path in (
        "remove/upload",
        "remove/url",
        "remove/download",
        "remove/load",
        "worker/restart",
        "env/install",
    ):
        assert (
            "`stopping`" in schema["paths"][f"/api/v1/{path}"]["post"]["responses"]["503"]["description"]
        ), path
    for path in ("remove/load", "remove/unload", "worker/restart"):
        parameters = schema["paths"][f"/api/v1/{path}"]["post"]["parameters"]
        assert parameters[0]["name"] == "model"
        assert all(parameter["description"] for parameter in parameters), path
    assert "Unix seconds" in fields["expires_at"]["description"]
    assert "milliseconds" in fields["timings_ms"]["description"]
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
        assert service.client.get(f"{service.url}/{path}").status_code == 200, path
    assert service.client.get(f"{service.url}/redoc").status_code == 404, "this page of FastAPI's needs one"


def test_openapi_tells_how_the_token_is_sent(service: Service) -> None:
    """Generated clients, and the reference's own button, have no place for a token otherwise."""
    schema = create_app(load_settings(["--token", "s3cret"])).openapi()
    schemes = schema["components"]["securitySchemes"]
    assert {(scheme["type"], scheme.get("name", scheme.get("scheme"))) for scheme in schemes.values()} == {
        ("http", "bearer"),
        ("apiKey", "X-API-Key"),
    }
    alternatives: list[dict[str, list[str]]] = [{name: []} for name in schemes]
    for path in ("/api/v1/remove/upload", "/api/remove", "/v1.0/removebg"):
        assert schema["paths"][path]["post"]["security"] == alternatives
    assert "security" not in schema["paths"]["/api/v1/health"]["get"]
    without = service.client.get(f"{service.url}/openapi.json").json()["paths"]
    assert not [
        path for path, operations in without.items() for one in operations.values() if "security" in one
    ]


def test_openapi_says_what_is_a_file_and_what_is_never_null(service: Service) -> None:
    """Generated clients would return nothing for a picture, and an id that may be missing."""
    schema = service.client.get(f"{service.url}/openapi.json").json()
    for path, method in (
        ("/api/v1/files/{file_id}", "get"),
        ("/api/remove", "post"),
        ("/v1.0/removebg", "post"),
    ):
        content = schema["paths"][path][method]["responses"]["200"]["content"]
        pictures = [kind["schema"] for name, kind in content.items() if name != "application/json"]
        assert pictures
        assert all(kind == {"type": "string", "format": "binary"} for kind in pictures)
    kinds = schema["components"]["schemas"]
    assert kinds["Accepted"]["properties"]["task_id"]["type"] == "string"
    assert {"type": "null"} in kinds["Started"]["properties"]["task_id"]["anyOf"]
    bodies = schema["paths"]["/v1.0/removebg"]["post"]["requestBody"]["content"]
    with_files = [name for name, body in bodies.items() if "image_file" in body["schema"]["properties"]]
    assert (len(bodies), with_files) == (3, ["multipart/form-data"])
    assert all("image_url" in body["schema"]["properties"] for body in bodies.values())


def test_openapi_tells_files_from_texts_and_what_may_be_empty(service: Service) -> None:
    """Generated clients would send a photo as text, and the form at /docs the word "string" as a colour."""
    schema = service.client.get(f"{service.url}/openapi.json").json()
    forms = [schema["components"]["schemas"][name] for name in ("UploadForm", "UrlRequest", "RembgForm")]
    bodies = schema["paths"]["/v1.0/removebg"]["post"]["requestBody"]["content"].values()
    forms.extend(body["schema"] for body in bodies)
    for form in forms:
        for name, field in form["properties"].items():
            if name in ("file", "background_file", "mask_file", "image_file", "bg_image_file"):
                assert (field["type"], field["format"]) == ("string", "binary"), name
            elif name not in form.get("required", ()):
                assert "default" in field or field["examples"] == [""], name


def test_openapi_says_that_errors_are_json(service: Service) -> None:
    """A generated client would read the refusal of a stream or of the metrics as text, and fail."""
    paths = service.client.get(f"{service.url}/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status[0] in "45":
                    assert set(answer["content"]) == {"application/json"}, (path, status)
    for path, kind in (
        ("/api/v1/remove/stream/{task_id}", "text/event-stream"),
        ("/api/v1/env/install/stream/{task_id}", "text/event-stream"),
        ("/api/v1/metrics", "text/plain"),
    ):
        assert set(paths[path]["get"]["responses"]["200"]["content"]) == {kind}


def test_openapi_names_operations_and_values_for_generated_clients(service: Service) -> None:
    """Their functions would be called upload_api_v1_remove_upload_post, and states be any text."""
    schema = service.client.get(f"{service.url}/openapi.json").json()
    operations = [one["operationId"] for path in schema["paths"].values() for one in path.values()]
    assert len(operations) == len(set(operations))
    assert {"remove_upload", "remove_result", "files_download", "drop_in_removebg"} <= set(operations)
    assert all(name.isidentifier() and "api" not in name for name in operations)
    kinds = schema["components"]["schemas"]
    assert {"ready", "busy", "failed"} < set(kinds["WorkerState"]["enum"])
    assert set(kinds["Result"]["properties"]["format"]["enum"]) == {"png", "webp", "jpeg", "zip"}
    stream = schema["paths"]["/api/v1/remove/stream/{task_id}"]["get"]
    assert "close" in stream["description"], "a browser connects again to a stream that has ended"
