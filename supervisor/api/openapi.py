"""What the reference says of requests, put so that its own form and generated clients can send them."""

from typing import Any

FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}


def describe_form_fields(schema: dict[str, Any]) -> None:
    """Tell files from texts, and that a field without a default may be empty; for a model's configuration.

    As FastAPI says them, generated clients send a file's text, and the form at `/docs` the word "string".
    """
    for field in schema["properties"].values():
        kinds = field.get("anyOf", [field])
        if any("contentMediaType" in kind for kind in kinds):
            field.pop("anyOf", None)
            field.update(FILE)
        elif {"type": "null"} in kinds:
            field["examples"] = [""]
