"""Requests while the supervisor cannot start threads."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from supervisor.app import create_app
from supervisor.settings import load_settings
from tests.photos import wish


@pytest.mark.filterwarnings("ignore")
def test_an_upload_that_finds_no_thread_is_asked_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was status 500 with a traceback, which clients take for a bug and do not retry."""

    async def scenario() -> None:
        app = create_app(load_settings(["--data-dir", str(tmp_path), "--temp-dir", str(tmp_path / "temp")]))
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:

                async def lack(*_: object) -> None:
                    raise RuntimeError("can't start new thread")

                with monkeypatch.context() as patch:
                    patch.setattr(app.state.container.spool, "accept", lack)
                    answer = await client.post(
                        "/api/v1/remove/upload", files={"file": ("a.png", wish())}, data={"model": "builtin"}
                    )
                assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
                assert answer.headers["retry-after"]
                assert len(app.state.container.dispatcher.queue) == 0

    asyncio.run(scenario())
