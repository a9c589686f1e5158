"""Names of models on the command line, resolved before a server is started for them."""

import os

from cli.command_errors import usage_error
from cli.server_process import MODEL_VARIABLE
from shared.catalog import DEFAULT_MODEL, ModelSpec, find_model, find_named_model
from shared.errors import UnknownModel


def select_model(given: str | None) -> ModelSpec:
    """Return the named model, else the default one. Raises a usage error."""
    try:
        return find_model(given or os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL)
    except UnknownModel as error:
        raise usage_error(error.detail if given else f"{MODEL_VARIABLE}: {error.detail}") from error


def check_model_name(name: str) -> None:
    """Raise a usage error for a name that the server to be started will not know."""
    default = select_model(None)
    if name in ("auto", "birefnet") or name.lower() in (default.name.lower(), default.model_id.lower()):
        return
    try:
        find_named_model(name)
    except UnknownModel as error:
        raise usage_error(error.detail) from error
