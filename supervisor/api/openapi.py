"""OpenAPI schema adjustments, for generated clients and the form at `/docs`."""

from typing import Any

FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


def describe_form_fields(schema: dict[str, Any]) -> None:
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
