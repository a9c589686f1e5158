"""Webhooks: the end of a removal is POSTed to the URL that its client named.

At least once: a job that the spool keeps has a record of its delivery, and the next start of the service
delivers those without.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from shared.errors import BgremoveError, Expired, UrlRefused
from supervisor.jobs.job import Callback, Job
from supervisor.jobs.spool import Spool
from supervisor.net.ssrf_protection import GuardedBackend
from supervisor.net.url_fetch import parse_target
from supervisor.net.url_post import post
from supervisor.tasks.task import Task

BACK_OFF_S = (0.0, 5.0, 30.0)  # before each of the tries
MAX_CONCURRENT = 8  # deliveries
MAX_CONCURRENT_PER_HOST = 2  # so that a receiver that never answers does not delay those to others
MAX_PENDING = 10_000  # deliveries: as many as there are finished tasks at most
GONE = 410  # the receiver wants no more of it
log = logging.getLogger("supervisor.webhook")


class Webhooks:
    """Delivers the ends of jobs that have a callback, signed with `secret`.

    Private targets only if `allow_private`.
    """

    def __init__(
        self,
        spool: Spool,
        secret: str | None,
        *,
        allow_private: bool,
        back_off_s: Sequence[float] = BACK_OFF_S,
    ) -> None:
        self._spool = spool
        self._secret = secret
        self._allow_private = allow_private
        self._back_off_s = back_off_s
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._host_slots = WeakValueDictionary[str, asyncio.Semaphore]()  # while there are deliveries
        self._deliveries: set[asyncio.Task[None]] = set()

    def notify(self, job: Job, task: Task) -> None:
        """Deliver the end of a job in the background, if its client wants that."""
        if job.callback is None:
            return
        if len(self._deliveries) >= MAX_PENDING:
            task.log("Webhook not sent: too many are pending")
            log.warning("webhook not sent", extra={"task_id": job.id, "reason": "too many are pending"})
            return
        delivery = asyncio.create_task(self._deliver(job, job.callback, task), name=f"webhook {job.id}")
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    async def close(self) -> None:
        """Stop; what was not delivered is delivered after a restart, if the spool keeps it."""
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    async def _deliver(self, job: Job, callback: Callback, task: Task) -> None:
        lines: list[str] = []
        host = parse_target(callback.url).host
        host_slots = self._host_slots.setdefault(host, asyncio.Semaphore(MAX_CONCURRENT_PER_HOST))
        for number, wait_s in enumerate(self._back_off_s, start=1):
            await asyncio.sleep(wait_s)
            async with host_slots, self._slots:  # in this order: what waits for its host holds no other slot
                body = json.dumps(self._payload(callback, task)).encode()  # not held during the back-off
                outcome, is_final = await self._try(job, callback, body)
            lines.append(f"Webhook, try {number}: {outcome}")
            task.log(lines[-1])
            if is_final:
                break
        else:
            log.warning("webhook given up", extra={"task_id": job.id, "reason": outcome})
        await self._spool.mark_notified(job, lines)

    async def _try(self, job: Job, callback: Callback, body: bytes) -> tuple[str, bool]:
        """Return the outcome of one try as a text, and whether there is no other one."""
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "bgremove/1",
            "X-Bgremove-Delivery": job.id,
            "X-Bgremove-Timestamp": timestamp,
        }
        if self._secret is not None:
            headers["X-Bgremove-Signature"] = sign(self._secret, timestamp, body)
        backend = GuardedBackend(allow=lambda _: True) if self._allow_private else None
        try:
            status = await post(callback.url, body, headers, backend=backend)
        except UrlRefused:
            return "refused, as BGREMOVE_CALLBACK_ALLOW_PRIVATE is not set", True
        except BgremoveError as error:
            return error.detail, False
        except (OSError, RuntimeError) as error:  # this process's own lack, as of threads
            return f"not sent: {error}", False
        return f"HTTP status {status}", 200 <= status < 300 or status == GONE

    def _payload(self, callback: Callback, task: Task) -> dict[str, Any]:
        result: dict[str, Any] | None = None
        with contextlib.suppress(Expired):  # its client has deleted it
            if task.code is None:
                result = dict(self._spool.result(task.id))
                for name in {"original_url", "result_url", "alpha_url"} & result.keys():
                    result[name] = callback.base_url + result[name]
        event = "removal.complete" if task.code is None else "removal.error"
        return {"event": event, "task": task.payload(), "result": result}


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a delivery: HMAC-SHA256 (RFC 2104) over timestamp, full stop and body."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"
