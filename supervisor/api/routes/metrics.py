"""Metrics for Prometheus."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from supervisor.api.dependencies import Supervisor
from supervisor.observability.exposition import exposition

router = APIRouter(tags=["server"])
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/metrics", response_class=Response, responses=_TEXT)
async def metrics(services: Supervisor) -> PlainTextResponse:
    """What is counted and measured, in Prometheus' text format; also at `/metrics`, where it looks first."""
    return PlainTextResponse(await exposition(services), media_type=CONTENT_TYPE_PLAIN_0_0_4)
