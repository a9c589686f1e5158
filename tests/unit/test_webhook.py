"""Deliveries that wait, and names that no name server answers."""

import asyncio
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Cancelled
from supervisor.jobs import webhook
from supervisor.jobs.job import Callback
from supervisor.jobs.spool import Spool
from supervisor.jobs.webhook import Webhooks
from supervisor.net.ssrf_protection import resolve
from supervisor.tasks.task import Task, TaskKind
from tests.unit.test_job import JOB


def test_pending_deliveries_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that is down for days would otherwise fill the memory."""
    monkeypatch.setattr(webhook, "MAX_PENDING", 2)

    async def scenario() -> None:
        webhooks = Webhooks(Spool(tmp_path, 60), None, allow_private=False, back_off_s=(60,))
        job = replace(JOB, callback=Callback("http://example.com/", "http://localhost"))
        tasks = [Task(TaskKind.REMOVE) for _ in range(3)]
        for task in tasks:
            webhooks.notify(job, task)
        assert [task.payload()["logs"] for task in tasks] == [
            [],
            [],
            ["Webhook not sent: too many are pending"],
        ]
        assert len(webhooks._deliveries) == 2
        await webhooks.close()

    asyncio.run(scenario())


def test_a_receiver_that_never_answers_does_not_delay_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its deliveries would hold every slot, for the ten seconds of each."""
    posted: list[str] = []

    async def post(url: str, *_: Any, **__: Any) -> int:
        posted.append(url)
        if "silent" in url:
            await asyncio.Event().wait()
        return 200

    monkeypatch.setattr(webhook, "post", post)

    async def scenario() -> None:
        webhooks = Webhooks(Spool(tmp_path, 60), None, allow_private=False, back_off_s=(0, 0))
        silent = [f"http://silent.example:{port}/" for port in range(1, 21)]
        prompt = [f"https://prompt.example/{number}" for number in range(5)]
        tasks = [Task(TaskKind.REMOVE) for _ in (*silent, *prompt)]
        for url, task in zip((*silent, *prompt), tasks, strict=True):
            task.fail(Cancelled())
            webhooks.notify(replace(JOB, callback=Callback(url, "http://localhost")), task)
        for task in tasks[len(silent) :]:
            while "Webhook, try 1: HTTP status 200" not in task.payload()["logs"]:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert sorted(posted) == sorted(silent[: webhook.MAX_CONCURRENT_PER_HOST] + prompt)
        await asyncio.sleep(0.1)
        assert list(webhooks._host_slots) == ["silent.example"], "the others are forgotten"
        await webhooks.close()

    asyncio.run(asyncio.wait_for(scenario(), 5))


def test_a_silent_name_server_holds_no_thread_of_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some lookups at a time would keep every upload from being saved."""
    answered = threading.Event()

    def wait(*_: Any, **__: Any) -> list[Any]:
        answered.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)

    async def scenario() -> None:
        lookups = [asyncio.create_task(resolve("slow.example", 80)) for _ in range(40)]
        await asyncio.sleep(0)
        try:
            await asyncio.wait_for(asyncio.to_thread(int), 5)
        finally:
            answered.set()
        await asyncio.gather(*lookups)

    asyncio.run(scenario())
