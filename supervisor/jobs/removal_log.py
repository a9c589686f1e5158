"""The log of removals: one line at the end of each, with what an operator asks for first."""

import logging
from collections.abc import Mapping

from shared.errors import BgremoveError, Cancelled
from shared.messages import RemovalResult
from supervisor.jobs.job import Job

log = logging.getLogger("supervisor.removals")


def log_success(
    job: Job, model: str, made: RemovalResult, timings_ms: Mapping[str, float], size_bytes: int | None
) -> None:
    """Log a finished removal: the photo's size in pixels, the result's in bytes, each stage's time."""
    details = {
        "task_id": job.id,
        "client": job.client,
        "model": model,
        "device": made.device,
        "photo": f"{made.photo_width}x{made.photo_height}",
        "format": made.format,
        "result_bytes": size_bytes,
    }
    log.info("removal finished", extra=details | {f"{step}_ms": ms for step, ms in timings_ms.items()})


def log_failure(job: Job, failure: BgremoveError, spent_s: float) -> None:
    """Log a removal that failed: as a warning, unless the photo, an option or the client is the reason."""
    details = {
        "task_id": job.id,
        "error": failure.code,
        "detail": failure.detail,
        "client": job.client,
        "model": job.model,
        "total_ms": round(spent_s * 1000, 1),
    }
    if failure.__cause__ is not None:
        details["reason"] = failure.__cause__
    level = logging.WARNING if failure.status >= 500 else logging.INFO
    outcome = "removal cancelled" if isinstance(failure, Cancelled) else "removal failed"
    log.log(level, outcome, extra=details)
