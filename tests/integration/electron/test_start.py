"""Starts that fail, and hasty ones: told with the reason, and never two at a time."""

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.electron.application import (
    STOP_TIMEOUT_S,
    App,
    expect_gone,
    needs_node,
)
from tests.service import START_TIMEOUT_S, wait_for

pytestmark = needs_node


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


def test_a_name_beyond_ascii_is_quoted_as_it_is(
    app: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's name is in most paths; on Windows Python writes into pipes in another encoding than UTF-8."""
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    file = tmp_path / "Jürgen"
    file.touch()
    assert str(file) in app(temp_dir=file).wait_for("failed")["error"]


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
