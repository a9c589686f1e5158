"""Calls of remove.bg's route, and what its errors say."""

from typing import Any

import httpx2

from tests.service import Service


def post(service: Service, **request: Any) -> httpx2.Response:
    """Send a request to remove.bg's route."""
    return service.client.post(f"{service.url}/v1.0/removebg", **request)


def written(body: bytes) -> dict[str, Any]:
    """Return a request with that JSON, whatever it is."""
    return {"content": body, "headers": {"Content-Type": "application/json"}}


def error(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and code of a refusal, which has the form of remove.bg's."""
    (error,) = answer.json()["errors"]
    assert error["title"]
    assert error["detail"]
    return answer.status_code, error["code"]
