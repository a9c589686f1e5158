"""An Electron application manages the service: here a real Node runs scripts/electron/managed-service.mjs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.integration.fake_service import Script, fake_service
from tests.photos import wish
from tests.service import END_TIMEOUT_S, OBEYS, ROOT, START_TIMEOUT_S, Service, wait_for

NODE = shutil.which("node")
MODULE = ROOT / "scripts" / "electron" / "managed-service.mjs"
STOP_TIMEOUT_S = 6
NOTICE_TIMEOUT_S = 10  # a poll every 3 seconds, and 3 more for the answer

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not on PATH")


class App:
    """A Node process that manages one service, tells its changes, and keeps its own stdin open."""

    def __init__(self, folder: Path, data_dir: Path, arguments: tuple[str, ...], **settings: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BGREMOVE_")}
        values = {"data_dir": data_dir, "temp_dir": folder / "temp", "builtin_worker": OBEYS, **settings}
        environment |= {f"BGREMOVE_{name.upper()}": str(value) for name, value in values.items()}
        assert NODE
        self._log = (folder / "app.log").open("w+b")
        self.process = subprocess.Popen(
            [NODE, *arguments],
            cwd=folder,
            env=environment | {"PYTHON": sys.executable, "MODULE": MODULE.as_uri()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self.states: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.states.extend(json.loads(line) for line in self.process.stdout)

    @property
    def log(self) -> str:
        """What it and the service wrote to stderr."""
        return Path(self._log.name).read_text()

    @property
    def statuses(self) -> list[str]:
        """Every status told so far."""
        return [state["status"] for state in self.states]

    def wait_for(self, status: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Wait until the last change is to `status`, and return the state."""
        wait_for(lambda: self.statuses[-1:] == [status], timeout_s)
        return self.states[-1]

    def client(self, token: str = "") -> httpx2.Client:
        """Return a client of the service, which has to be running."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = f"{self.wait_for('running')['url']}/api/v1"
        return httpx2.Client(base_url=address, headers=headers, trust_env=False)

    def make_busy(self) -> list[psutil.Process]:
        """Have a worker in the middle of a removal, and return every process below this one."""
        with self.client() as client:
            answer = client.post("/remove/upload", files={"file": ("photo.png", wish("sleep 60"))})
            task = f"/tasks/{answer.json()['task_id']}"
            wait_for(lambda: client.get(task).json()["message"] == "Sleeping")
        processes = psutil.Process(self.process.pid).children(recursive=True)
        assert len(processes) >= 2
        return processes

    def say_stop(self) -> None:
        """Ask for the end as a test does, by a line."""
        assert self.process.stdin
        self.process.stdin.write(b"stop\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End whatever is left."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(2 * STOP_TIMEOUT_S)
        finally:
            self.process.kill()
            self._reader.join()
            for stream in (self.process.stdin, self.process.stdout, self._log):
                assert stream
                stream.close()


@pytest.fixture
def app(data_dir: Path, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start applications with the given flags and settings; all are ended after the test."""
    with ExitStack() as stack:

        def begin(*flags: str, port: int = 0, script: str = "", **settings: Any) -> App:
            run = (str(MODULE), "run", "--python", sys.executable, "--port", str(port), *flags)
            arguments = ("--input-type=module", "--eval", script) if script else run
            return stack.enter_context(closing(App(tmp_path, data_dir, arguments, **settings)))

        yield begin


def expect_gone(processes: list[psutil.Process], timeout_s: float = 1) -> None:
    """Fail unless all of them end in time."""
    wait_for(lambda: all(has_ended(process) for process in processes), timeout_s)


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more, even where init has yet to reap it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_application_learns_where_its_service_answers(app: Callable[..., App]) -> None:
    """Without it, its window could show nothing but an error."""
    running = app()
    with running.client() as client:
        status = client.get("/status").json()
    state = running.states[-1]
    assert running.statuses == ["starting", "running"]
    assert state["owned"] is True
    assert state["url"] == f"http://127.0.0.1:{state['port']}"
    assert {name: status["server"][name] for name in ("port", "pid", "version")} == {
        name: state[name] for name in ("port", "pid", "version")
    }


@pytest.mark.parametrize("how", ["line", "SIGTERM", "SIGINT to all"])
def test_quitting_ends_everything_even_during_a_removal(app: Callable[..., App], how: str) -> None:
    """A quit application that leaves a worker behind holds memory, and the port, until the next reboot.

    Ctrl-C in a developer's terminal goes to every process at once; that is an end too, and not a failure.
    """
    running = app()
    processes = running.make_busy()
    if how == "line":
        running.say_stop()
    elif how == "SIGTERM":
        running.process.send_signal(signal.SIGTERM)
    else:
        os.killpg(running.process.pid, signal.SIGINT)
    assert running.process.wait(STOP_TIMEOUT_S) == 0
    expect_gone(processes)
    assert running.wait_for("stopped", timeout_s=1) == {"status": "stopped", "owned": False}
    assert running.statuses == ["starting", "running", "stopped"]
    assert running.log.endswith("bgremove: stopped\n")


def test_quitting_during_the_start_does_not_wait_for_it(app: Callable[..., App]) -> None:
    """Somebody who opens the application by mistake closes it at once."""
    running = app()
    processes = wait_for(psutil.Process(running.process.pid).children)
    running.say_stop()
    assert running.process.wait(STOP_TIMEOUT_S) == 0
    expect_gone(processes)
    assert running.wait_for("stopped", timeout_s=1)
    assert "failed" not in running.statuses


def test_an_application_killed_by_the_system_leaves_no_process(app: Callable[..., App]) -> None:
    """Nobody is there any more to stop the service: it has to notice."""
    running = app()
    processes = running.make_busy()
    running.process.kill()
    expect_gone(processes, END_TIMEOUT_S)


def test_a_service_that_dies_is_told_with_the_reason(app: Callable[..., App]) -> None:
    """The window must say so, rather than wait for ever for an upload's answer."""
    running = app()
    processes = running.make_busy()
    os.kill(running.states[-1]["pid"], signal.SIGKILL)
    failed = running.wait_for("failed", timeout_s=3)
    assert failed["reason"] == "ended"
    assert failed["signal"] == "SIGKILL"
    assert failed["error"].startswith("the service ended unexpectedly (signal SIGKILL)")
    assert any("startup complete" in line for line in failed["stderr"])
    assert running.process.wait(STOP_TIMEOUT_S) == 1
    expect_gone(processes)


@pytest.mark.slow
def test_a_service_that_stands_still_is_told_and_can_be_stopped(app: Callable[..., App]) -> None:
    """A frozen service heeds neither its stdin nor SIGTERM; quitting must be possible all the same."""
    running = app()
    processes = running.make_busy()
    pid = running.states[-1]["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert running.wait_for("unreachable", NOTICE_TIMEOUT_S)["owned"] is True
    os.kill(pid, signal.SIGCONT)
    running.wait_for("running", NOTICE_TIMEOUT_S)
    os.kill(pid, signal.SIGSTOP)
    running.say_stop()
    assert running.process.wait(STOP_TIMEOUT_S + 2) == 0
    expect_gone(processes)


def test_another_bgremove_on_the_port_is_refused_by_name(app: Callable[..., App], fake: Service) -> None:
    """A photo must not land, unasked, in a service with another's settings."""
    running = app(port=fake.port)
    failed = running.wait_for("failed")
    assert failed["reason"] == "port_taken"
    assert failed["error"] == f"port {fake.port} is taken: another bgremove answers there"
    assert running.process.wait(STOP_TIMEOUT_S) == 1
    assert running.log.endswith(f"bgremove: {failed['error']}\n")


def test_an_adopted_bgremove_is_used_and_outlives_the_application(
    app: Callable[..., App], fake: Service
) -> None:
    """A service that somebody else started is not ours to end."""
    running = app("--adopt", port=fake.port)
    state = running.wait_for("running")
    assert (state["owned"], state["pid"]) == (False, fake.process.pid)
    running.say_stop()
    assert running.process.wait(STOP_TIMEOUT_S) == 0
    assert fake.client.get("/health").status_code == 200


def test_an_adopted_bgremove_that_ends_is_told(
    app: Callable[..., App], start: Callable[..., Service]
) -> None:
    """It is no child, so nothing but asking finds out."""
    service = start(builtin_worker=OBEYS)
    running = app("--adopt", port=service.port)
    running.wait_for("running")
    service.end()
    assert running.wait_for("unreachable", NOTICE_TIMEOUT_S)["owned"] is False


@pytest.mark.parametrize("flags", [[], ["--adopt"]], ids=["refusing", "adopting"])
def test_another_program_on_the_port_is_refused(app: Callable[..., App], flags: list[str]) -> None:
    """Photos, and the token, would go to whatever happens to listen there."""
    script = Script()
    with fake_service(script) as address:
        port = int(address.rpartition(":")[2])
        failed = app(*flags, port=port, token="confidential").wait_for("failed")
    assert failed["reason"] == "port_taken"
    assert failed["error"] == f"port {port} is taken: what answers there is not bgremove (status 200)"
    assert script.tokens == {None}


def test_a_python_that_does_not_exist_is_named(app: Callable[..., App], tmp_path: Path) -> None:
    """The application was shipped before .venv was made; 'ENOENT' helps nobody."""
    running = app("--python", str(tmp_path / "python"))
    failed = running.wait_for("failed")
    assert failed["reason"] == "not_spawned"
    assert failed["error"].startswith(f"cannot run {tmp_path / 'python'}: no such file")
    assert running.process.wait(STOP_TIMEOUT_S) == 1


def test_a_start_that_fails_quotes_the_service(app: Callable[..., App]) -> None:
    """Only the service knows what it did not like."""
    failed = app(queue_limit="many").wait_for("failed")
    assert (failed["reason"], failed["code"]) == ("ended", 1)
    assert "bad value for BGREMOVE_QUEUE_LIMIT" in failed["error"]


def test_the_token_is_used_and_shows_in_no_process_list(app: Callable[..., App]) -> None:
    """Every user of the machine can read the arguments of its processes."""
    running = app(token="confidential")
    with running.client() as anybody, running.client("confidential") as owner:
        assert anybody.get("/status").status_code == 401
        assert owner.get("/status").status_code == 200
    for process in psutil.Process(running.process.pid).children(recursive=True):
        assert "confidential" not in " ".join(process.cmdline())


def test_settings_for_serving_others_do_not_lock_the_application_out(app: Callable[..., App]) -> None:
    """They may stand in the whole machine's environment, for a server that is not the application's."""
    with app(host="0.0.0.0", allowed_hosts="photos.example").client() as client:  # noqa: S104 - must not get through
        assert client.get("/status").status_code == 200


def test_a_bgremove_with_another_token_is_not_adopted(
    app: Callable[..., App], start: Callable[..., Service]
) -> None:
    """The window would open, and every removal would fail."""
    service = start(token="theirs")
    failed = app("--adopt", port=service.port, token="ours").wait_for("failed")
    assert failed["error"] == f"port {service.port} is taken: the bgremove there wants another token"


def scripted(body: str, options: str = "port: 0, python: process.env.PYTHON") -> str:
    """Return what an application does with its service, as a script."""
    return f"""
        const {{ ManagedService }} = await import(process.env.MODULE);
        const service = new ManagedService({{ {options} }});
        service.on('status', (state) => console.log(JSON.stringify(state)));
        {body}
    """


def never_ready(folder: Path) -> str:
    """Return a script's word for a Python that never says that it is ready."""
    sleeper = folder / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o700)
    return json.dumps(str(sleeper))


def test_hasty_clicks_start_one_service_at_a_time(app: Callable[..., App]) -> None:
    """Two starts at once would leave a service that nobody knows of."""
    script = """
        const [first, second] = await Promise.all([service.start(), service.start()]);
        if (first.pid !== second.pid) throw new Error('two services');
        await Promise.all([service.stop(), service.start()]);
        const calls = [service.stop(), service.start(), service.stop(), service.stop()];
        const [, overtaken] = await Promise.allSettled(calls);
        if (overtaken.reason?.reason !== 'stopped') throw new Error('started for nothing');
    """
    running = app(script=scripted(script))
    assert running.process.wait(START_TIMEOUT_S) == 0, running.log
    running.wait_for("stopped", timeout_s=1)
    assert running.statuses == ["starting", "running", "stopped"] * 2
    assert len({state["pid"] for state in running.states if "pid" in state}) == 2


def test_a_stop_right_after_a_start_does_not_wait_for_it(app: Callable[..., App], tmp_path: Path) -> None:
    """An application that quits at once must not hang for half a minute, whichever moment it is."""
    sleeper = never_ready(tmp_path)
    for moment in ("", "await new Promise(setImmediate);"):
        script = f"const started = service.start().catch((error) => error.reason); {moment}"
        script += "await service.stop(); if (await started !== 'stopped') throw new Error('it started');"
        running = app(script=scripted(script, f"startTimeoutMs: 60_000, python: {sleeper}"))
        assert running.process.wait(STOP_TIMEOUT_S) == 0, running.log
        assert "failed" not in running.statuses


def test_a_listener_that_throws_does_not_stop_a_stop(app: Callable[..., App]) -> None:
    """Such as one that tells a window which is closed already; the service would be left running."""
    script = """
        const thrown = [];
        process.on('uncaughtException', (error) => thrown.push(error.message));
        service.on('status', () => { throw new Error('Object has been destroyed'); });
        await service.start();
        await service.stop();
        if (thrown.length !== 3) throw new Error(`heard of ${thrown}`);
    """
    running = app(script=scripted(script))
    assert running.process.wait(START_TIMEOUT_S) == 0, running.log
    assert running.statuses == ["starting", "running", "stopped"]


def test_a_service_that_failed_can_be_started_again(app: Callable[..., App]) -> None:
    """Otherwise the only way out is to restart the whole application."""
    script = """
        const failed = new Promise((resolve) => {
            service.on('status', ({ status }) => status === 'failed' && resolve());
        });
        process.kill((await service.start()).pid, 'SIGKILL');
        await failed;
        await service.start();
        await service.stop();
    """
    running = app(script=scripted(script))
    assert running.process.wait(START_TIMEOUT_S) == 0, running.log
    running.wait_for("stopped", timeout_s=1)
    assert running.statuses == ["starting", "running", "failed", "starting", "running", "stopped"]


def test_a_service_that_never_gets_ready_is_given_up(app: Callable[..., App], tmp_path: Path) -> None:
    """A splash screen must not stay for ever."""
    options = f"startTimeoutMs: 500, python: {never_ready(tmp_path)}"
    running = app(script=scripted("await service.start().catch(() => {});", options))
    processes = wait_for(psutil.Process(running.process.pid).children)
    assert running.wait_for("failed")["error"] == "the service was not ready after 0.5 s"
    assert running.process.wait(STOP_TIMEOUT_S) == 0, running.log
    expect_gone(processes)
