"""Failed and concurrent starts: the reason is reported, and only one service runs at a time."""

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.electron.application import (
    STOP_TIMEOUT_S,
    App,
    expect_ended,
    needs_node,
)
from tests.service import START_TIMEOUT_S, wait_for

pytestmark = needs_node


def test_a_python_that_does_not_exist_is_named(app: Callable[..., App], tmp_path: Path) -> None:
    """Such as without a .venv; 'ENOENT' alone would not name it."""
    running = app("--python", str(tmp_path / "python"))
    failed = running.wait_for("failed")
    assert failed["reason"] == "not_spawned"
    assert failed["error"].startswith(f"cannot run {tmp_path / 'python'}: no such file")
    assert running.process.wait(STOP_TIMEOUT_S) == 1


def test_a_start_that_fails_quotes_the_service(app: Callable[..., App]) -> None:
    """The error includes the tail of its log."""
    failed = app(queue_limit="many").wait_for("failed")
    assert (failed["reason"], failed["code"]) == ("ended", 1)
    assert "bad value for BGREMOVE_QUEUE_LIMIT" in failed["error"]


def test_a_non_ascii_path_is_quoted_unchanged(
    app: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths contain user names; on Windows Python would write to pipes in another encoding."""
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    file = tmp_path / "Jürgen"
    file.touch()
    assert str(file) in app(temp_dir=file).wait_for("failed")["error"]


def scripted(body: str, options: str = "port: 0, python: process.env.PYTHON") -> str:
    """Return a script that uses a ManagedService."""
    return f"""
        const {{ ManagedService }} = await import(process.env.MODULE);
        const service = new ManagedService({{ {options} }});
        service.on('status', (state) => console.log(JSON.stringify(state)));
        {body}
    """


def never_ready(folder: Path) -> str:
    """Return the path, in JSON, of an executable that never prints a ready line."""
    sleeper = folder / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o700)
    return json.dumps(str(sleeper))


def test_concurrent_calls_start_one_service_at_a_time(app: Callable[..., App]) -> None:
    """Two concurrent starts would leak a service."""
    script = """
        const [first, second] = await Promise.all([service.start(), service.start()]);
        if (first.pid !== second.pid) throw new Error('two services');
        await Promise.all([service.stop(), service.start()]);
        const calls = [service.stop(), service.start(), service.stop(), service.stop()];
        const [, cancelled] = await Promise.allSettled(calls);
        if (cancelled.reason?.reason !== 'stopped') throw new Error('start not cancelled');
    """
    running = app(script=scripted(script))
    assert running.process.wait(START_TIMEOUT_S) == 0, running.log
    running.wait_for("stopped", timeout_s=1)
    assert running.statuses == ["starting", "running", "stopped"] * 2
    assert len({state["pid"] for state in running.states if "pid" in state}) == 2


def test_a_stop_right_after_a_start_does_not_wait_for_it(app: Callable[..., App], tmp_path: Path) -> None:
    """Quitting must not take the start's timeout, before or after the spawn."""
    sleeper = never_ready(tmp_path)
    for moment in ("", "await new Promise(setImmediate);"):
        script = f"const started = service.start().catch((error) => error.reason); {moment}"
        script += "await service.stop(); if (await started !== 'stopped') throw new Error('it started');"
        running = app(script=scripted(script, f"startTimeoutMs: 60_000, python: {sleeper}"))
        assert running.process.wait(STOP_TIMEOUT_S) == 0, running.log
        assert "failed" not in running.statuses


def test_a_listener_that_throws_does_not_stop_a_stop(app: Callable[..., App]) -> None:
    """Such as one that uses a closed window; the service would be leaked."""
    script = """
        const thrown = [];
        process.on('uncaughtException', (error) => thrown.push(error.message));
        service.on('status', () => { throw new Error('Object has been destroyed'); });
        await service.start();
        await service.stop();
        if (thrown.length !== 3) throw new Error(`caught ${thrown}`);
    """
    running = app(script=scripted(script))
    assert running.process.wait(START_TIMEOUT_S) == 0, running.log
    assert running.statuses == ["starting", "running", "stopped"]


def test_a_service_that_failed_can_be_started_again(app: Callable[..., App]) -> None:
    """Without a restart of the application."""
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


def test_a_service_that_is_never_ready_times_out(app: Callable[..., App], tmp_path: Path) -> None:
    """Otherwise a splash screen would stay forever."""
    options = f"startTimeoutMs: 500, python: {never_ready(tmp_path)}"
    running = app(script=scripted("await service.start().catch(() => {});", options))
    processes = wait_for(psutil.Process(running.process.pid).children)
    assert running.wait_for("failed")["error"] == "the service was not ready after 0.5 s"
    assert running.process.wait(STOP_TIMEOUT_S) == 0, running.log
    expect_ended(processes)
