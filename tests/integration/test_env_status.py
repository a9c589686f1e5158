"""GET /env/status, authorisation of POST /env/install, and the choice of the PyTorch index."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from supervisor.app import create_app
from supervisor.environment import report as report_module
from supervisor.environment import torch_index
from supervisor.environment.diagnostics import TIMED_OUT, Failure
from supervisor.environment.import_probe import Outcome
from supervisor.environment.report import Environment
from supervisor.environment.requirements import LISTS, MODULES, PackageLists
from supervisor.settings import load_settings
from tests.integration.package_index import put
from tests.photos import wish
from tests.service import Service

HERE, THERE = "127.0.0.1", "192.0.2.1"


@pytest.fixture
def empty(tmp_path: Path) -> PackageLists:
    """A project without requirements: there is nothing to install."""
    for path in [*LISTS.values(), "constraints.txt"]:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    return PackageLists(tmp_path, ())


@asynccontextmanager
async def client_at(
    address: str, lists: PackageLists, token: str | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """Run the application with a client whose address is `address`."""
    flags = ["--temp-dir", str(lists.root / "temp"), *(["--token", token] if token else [])]
    app = create_app(load_settings(flags), lists=lists)
    transport = httpx2.ASGITransport(app, client=(address, 1))
    base = "http://127.0.0.1/api/v1"
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url=base) as client,
    ):
        yield client


def test_the_status_shows_the_thirteen_modules_and_is_quick_the_second_time(service: Service) -> None:
    """The page shows this table and refreshes it often."""
    first = service.client.get("/env/status").json()
    began = time.monotonic()
    answer = service.client.get("/env/status").json()
    assert time.monotonic() - began < 1
    assert answer == first
    assert set(answer) == {"installed", "ready", "missing", "modules", "python", "venv", "task_id"}
    assert [(row["module"], row["package"]) for row in answer["modules"]] == list(MODULES)
    rows = {row["module"]: row for row in answer["modules"]}
    assert rows["fastapi"]["installed"] is True
    assert rows["fastapi"]["required"] is True
    assert rows["fastapi"]["needed_by"] == ["server"]
    assert rows["fastapi"]["problem"] is None
    assert rows["torchvision"]["required"] is False
    absent = [row["package"] for row in answer["modules"] if not row["installed"]]
    assert absent == answer["missing"]
    assert answer["installed"] == (not absent)
    assert answer["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert answer["ready"] is True, "the test environment has all packages of the native loader"


@pytest.mark.parametrize(
    ("address", "token", "status"),
    [
        (HERE, None, 200),
        ("127.8.8.8", None, 200),
        ("::1", None, 200),
        ("::ffff:127.0.0.1", None, 200),
        (THERE, None, 403),
        ("::ffff:192.0.2.1", None, 403),
        ("10.0.0.1", None, 403),
        ("", None, 403),
        ("testclient", None, 403),
        (THERE, "s3cret", 200),
        (HERE, "s3cret", 200),
    ],
)
def test_installs_need_a_local_client_or_the_token(
    empty: PackageLists, address: str, token: str | None, status: int
) -> None:
    """An install runs third-party code: other machines on the network must not start one."""

    async def ask() -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with client_at(address, empty, token) as client:
            assert (await client.get("/env/status", headers=headers)).status_code == 200
            return await client.post("/env/install", headers=headers)

    answer = asyncio.run(ask())
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "local_only"
    else:
        assert answer.json() == {"task_id": None}


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "", 200),
        (b"{}", "application/json", 200),
        (b'{"packages": ["evil"]}', "application/json", 422),
        (b'["evil"]', "application/json", 422),
        (b'"evil"', "application/json", 422),
        (b"packages=evil", "application/x-www-form-urlencoded", 422),
        (b"evil", "text/plain", 422),
        (b"evil", "application/json", 422),
    ],
)
def test_a_request_cannot_name_packages(empty: PackageLists, content: bytes, kind: str, status: int) -> None:
    """A body would suggest that the client chooses the packages, so it is refused."""

    async def ask() -> int:
        async with client_at(HERE, empty) as client:
            headers = {"Content-Type": kind} if kind else {}
            return (await client.post("/env/install", content=content, headers=headers)).status_code

    assert asyncio.run(ask()) == status


def test_the_install_stream_rejects_other_tasks(fake: Service) -> None:
    """Removals have a stream of their own."""
    for task_id in ("envinstall_0", fake.upload(wish())):
        answer = fake.client.get(f"/env/install/stream/{task_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


class CountingProbe:
    """Fake import probe that counts its calls."""

    def __init__(self, *answers: Outcome) -> None:
        self.calls: list[list[str]] = []
        self._answers = list(answers)

    async def __call__(self, modules: Sequence[str]) -> dict[str, Outcome]:
        self.calls.append(list(modules))
        await asyncio.sleep(0.05)
        return dict.fromkeys(modules, self._answers.pop(0))


@pytest.fixture
def torch_alone(empty: PackageLists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageLists:
    """A project that requires torch, and an installed fake torch."""
    (tmp_path / LISTS["native"]).write_text("torch\n")
    site = tmp_path / "site-packages"
    site.mkdir()
    put(site, "torch", "")
    monkeypatch.syspath_prepend(site)
    return PackageLists(empty.root, (("torch", "torch"),))


def test_callers_share_one_probe_until_packages_change(
    torch_alone: PackageLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing torch takes seconds and 500 MB: not for every request."""
    probe = CountingProbe(Outcome(None), Outcome(None))
    monkeypatch.setattr(report_module, "probe", probe)

    async def ask() -> None:
        environment = Environment(torch_alone, "native")
        first, second = await asyncio.gather(environment.report(), environment.report())
        assert first == second == await environment.report()
        assert first.ready
        assert len(probe.calls) == 1
        put(torch_alone.root / "site-packages", "sympy", "")
        await environment.report()
        assert len(probe.calls) == 2
        await environment.close()

    asyncio.run(ask())


def test_a_probe_that_timed_out_is_not_cached(
    torch_alone: PackageLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first import after boot reads gigabytes from disk; the second is fast."""
    probe = CountingProbe(Outcome(Failure(TIMED_OUT)), Outcome(None))
    monkeypatch.setattr(report_module, "probe", probe)

    async def ask() -> list[bool]:
        environment = Environment(torch_alone, "native")
        return [(await environment.report()).ready for _ in range(3)]

    assert asyncio.run(ask()) == [False, True, True]
    assert len(probe.calls) == 2


def test_no_import_is_probed_while_packages_change(
    torch_alone: PackageLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows it would lock the files that pip replaces."""
    probe = CountingProbe(Outcome(None))
    monkeypatch.setattr(report_module, "probe", probe)

    async def ask() -> list[bool]:
        environment = Environment(torch_alone, "native")
        async with environment.pause_probing():
            during = (await environment.report()).ready
        return [during, (await environment.report()).ready]

    assert asyncio.run(ask()) == [False, True]
    assert len(probe.calls) == 1


@pytest.mark.parametrize(
    ("cuda", "gpu", "warned"), [(None, True, True), ("12.8", True, False), (None, False, False)]
)
def test_a_cpu_build_of_torch_on_a_gpu_machine_is_ready_with_a_warning(
    torch_alone: PackageLists,
    monkeypatch: pytest.MonkeyPatch,
    cuda: str | None,
    gpu: bool,  # noqa: FBT001
    warned: bool,  # noqa: FBT001
) -> None:
    """It works, but slowly."""
    monkeypatch.setattr(report_module, "probe", CountingProbe(Outcome(None, cuda)))
    monkeypatch.setattr(report_module, "has_nvidia_gpu", lambda *_: gpu)
    report = asyncio.run(Environment(torch_alone, "native").report())
    (row,) = report.rows
    assert report.ready
    assert report.broken == []
    assert (row.problem is not None) == warned


@pytest.mark.parametrize(
    ("platform", "environment", "gpu", "builds"),
    [
        ("linux", {}, False, "cpu"),
        ("linux", {}, True, None),
        ("win32", {}, False, None),
        ("win32", {}, True, "cu130"),
        ("darwin", {}, False, None),
        ("linux", {"PIP_INDEX_URL": "https://mirror.example/simple"}, False, None),
        ("win32", {"PIP_EXTRA_INDEX_URL": "https://mirror.example/simple"}, True, None),
        ("linux", {"PIP_NO_INDEX": "1"}, False, None),
        ("linux", {"PIP_FIND_LINKS": "/wheels"}, False, None),
        ("linux", {"PIP_INDEX_URL": ""}, False, "cpu"),
    ],
)
def test_the_torch_index_fits_the_machine_unless_the_user_configured_one(
    platform: str,
    environment: dict[str, str],
    gpu: bool,  # noqa: FBT001
    builds: str | None,
) -> None:
    """PyPI's build is ten times the download on Linux, and CPU-only on Windows."""
    index = torch_index.choose_index(platform, environment, gpu=gpu)
    assert (index and index.rpartition("/")[2]) == builds


@contextmanager
def index(status: int, delay_s: float = 0) -> Iterator[str]:
    """Run a server that answers with `status` after `delay_s`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            time.sleep(delay_s)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Log nothing."""

    with ThreadingHTTPServer((HERE, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://{HERE}:{server.server_port}/whl/cpu"
        server.shutdown()
        thread.join()


def test_a_torch_index_is_used_only_if_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a firewall the install continues without it after a short timeout."""
    monkeypatch.setenv("NO_PROXY", HERE)
    with index(200) as address:
        assert asyncio.run(torch_index.is_reachable(address)) is True
    assert asyncio.run(torch_index.is_reachable(address)) is False
    with index(404) as address:
        assert asyncio.run(torch_index.is_reachable(address)) is False
    with index(200, delay_s=0.5) as address:
        assert asyncio.run(torch_index.is_reachable(address, timeout_s=0.1)) is False
