"""Metrics for Prometheus."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from supervisor.api.common import Supervisor
from supervisor.exposition import exposition

router = APIRouter(tags=["server"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(services: Supervisor) -> PlainTextResponse:
    """What is counted and measured, in Prometheus' text format; also at `/metrics`, where it looks first."""
    return PlainTextResponse(await exposition(services), media_type=CONTENT_TYPE_PLAIN_0_0_4)
