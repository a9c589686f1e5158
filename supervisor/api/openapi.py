"""OpenAPI schema adjustments, for generated clients and the form at `/docs`.

Source: OpenAPI Specification 3.1.0.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

Schema = dict[str, Any]
FILE: Schema = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
BINARY: Schema = {"type": "string", "format": "binary"}
_STREAM: Schema = {"type": "string", "description": "Server-sent events; the data of each is JSON."}
_HEALTH_PATHS = ("/api/v1/health",)  # which need no token


def describe_form_fields(schema: Schema) -> None:
    """Declare files as binary, and optional fields as possibly empty; a pydantic `json_schema_extra`.

    As FastAPI declares them, generated clients send a file as text, and the form at `/docs` sends "string".
    """
    for field in schema["properties"].values():
        kinds = field.get("anyOf", [field])
        if any("contentMediaType" in kind for kind in kinds):
            field.pop("anyOf", None)
            field.update(FILE)
        elif {"type": "null"} in kinds:
            field["examples"] = [""]


def describe_files(*media_types: str) -> dict[str, Schema]:
    """Return the OpenAPI content of a response that is a file of one of these media types."""
    return {media_type: {"schema": BINARY} for media_type in media_types}


def omit_files(schema: Schema) -> Schema:
    """Return the schema of a form for bodies that hold no files: JSON and urlencoded."""
    fields = {name: field for name, field in schema["properties"].items() if field.get("format") != "binary"}
    return {**schema, "properties": fields}


def adjust_openapi(app: FastAPI, *, has_token: bool) -> None:
    """Let the application describe itself so that code generators accept it.

    FastAPI uses `itemSchema` of version 3.2 for streams, and calls the document 3.1. Where the service has no
    token, requests need none; generated clients would ask for one.
    """
    describe = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            schema = describe()
            for path, operation in _iterate_operations(schema):
                _describe_streams(operation)
                if path in _HEALTH_PATHS or not has_token:
                    operation.pop("security", None)
        return app.openapi_schema or describe()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema


def _iterate_operations(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            yield path, operation


def _describe_streams(operation: Schema) -> None:
    for response in operation["responses"].values():
        for content in response.get("content", {}).values():
            if content.pop("itemSchema", None) is not None:
                content["schema"] = _STREAM
