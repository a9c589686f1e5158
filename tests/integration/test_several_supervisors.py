"""Two supervisors behind nginx with the shipped configuration: each request reaches the one with its task."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.removebg_host import MAIN, accepts, skip_without
from tests.photos import wish
from tests.service import OBEYS, ROOT, Service, wait_for

CONFIGURATION = ROOT / "scripts" / "deploy" / "nginx-supervisors.conf"
UPLOADS = 20


@pytest.fixture
def proxy(start: Callable[..., Service], tmp_path: Path) -> Iterator[httpx2.Client]:
    """A client of nginx, which is before two supervisors."""
    skip_without("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = CONFIGURATION.read_text().replace("127.0.0.1:6905", f"127.0.0.1:{port}")
    for number, name in enumerate(("127.0.0.1:6910", "127.0.0.1:6911")):
        service = start(instance=number, builtin_worker=OBEYS)
        text = text.replace(name, f"127.0.0.1:{service.port}")
    (tmp_path / "server.conf").write_text(text)
    (tmp_path / "nginx.conf").write_text(MAIN.format(folder=tmp_path))
    command = ["nginx", "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    with (tmp_path / "nginx.log").open("wb") as log, subprocess.Popen(command, stderr=log) as nginx:
        try:
            wait_for(lambda: nginx.poll() is not None or accepts("127.0.0.1", port))
            assert nginx.poll() is None, (tmp_path / "nginx.log").read_text()
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as client:
                yield client
        finally:
            nginx.terminate()


def upload(client: httpx2.Client, key: str = "") -> str:
    """Upload a photo; return its task's id."""
    headers = {"Idempotency-Key": key} if key else {}
    files = {"file": ("a.png", wish("ok"), "image/png")}
    answer = client.post("/remove/upload", files=files, data={"model": "builtin"}, headers=headers)
    return str(answer.raise_for_status().json()["task_id"])


def test_every_request_for_a_task_reaches_its_supervisor(proxy: httpx2.Client) -> None:
    """Status, stream, result and file: the other supervisor would answer 404."""
    tasks = [upload(proxy) for _ in range(UPLOADS)]
    assert {task_id[-2:] for task_id in tasks} == {"00", "01"}, "both get uploads"
    for task_id in tasks:
        assert '"complete"' in proxy.get(f"/remove/stream/{task_id}").text
        assert proxy.get(f"/tasks/{task_id}").json()["status"] == "complete"
        result = proxy.get(f"/remove/result/{task_id}").json()
        assert result["result_url"].endswith(task_id[-2:])
        assert proxy.get(result["result_url"].removeprefix("/api/v1")).status_code == 200
        assert proxy.delete(f"/remove/result/{task_id}").status_code == 204


def test_a_repeated_upload_reaches_the_same_supervisor(proxy: httpx2.Client) -> None:
    """The other one would remove the background once more."""
    for number in range(UPLOADS):
        assert upload(proxy, f"order-{number}") == upload(proxy, f"order-{number}")
