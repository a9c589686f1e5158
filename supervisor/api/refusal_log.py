"""The log of refused requests: one line for each, with the reason, the route and the client."""

import logging

from starlette.types import Scope

from shared.errors import BgremoveError, Expired, NotFound, Overloaded, StorageFailed, WrongState

LOGGED_FLAG = "bgremove.failure_logged"  # in a request's scope: its removal's own line has the error
# Answers to questions, such as whether a result is there yet, and errors that have a line of their own.
QUIET = (NotFound, Expired, WrongState, StorageFailed, Overloaded)
log = logging.getLogger("supervisor.http")


def log_refusal(scope: Scope, error: BgremoveError) -> None:
    """Log a request that is answered with `error`, without its query and headers, which may hold secrets."""
    if isinstance(error, QUIET) or error.code == BgremoveError.code or scope.get(LOGGED_FLAG):
        return
    client = scope.get("client")
    details = {
        "method": scope["method"],
        "path": scope["path"],
        "error": error.code,
        "detail": error.detail,
        "client": f"address {client[0]}" if client else "unknown",
    }
    log.info("request refused", extra=details)
