"""Lifecycle of a managed service: however it ends, no process is left."""

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.integration.electron.application import (
    NOTICE_TIMEOUT_S,
    STOP_TIMEOUT_S,
    App,
    expect_ended,
    needs_node,
)
from tests.service import END_TIMEOUT_S, wait_for

pytestmark = needs_node


def test_the_application_gets_the_url_of_its_service(app: Callable[..., App]) -> None:
    """Its window opens that URL."""
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
    """A leaked worker would hold memory, and a leaked service the port.

    Ctrl-C in a terminal sends SIGINT to every process; that is a regular end as well.
    """
    running = app()
    processes = running.make_busy()
    if how == "line":
        running.send_stop()
    elif how == "SIGTERM":
        running.process.send_signal(signal.SIGTERM)
    else:
        os.killpg(running.process.pid, signal.SIGINT)
    assert running.process.wait(STOP_TIMEOUT_S) == 0
    expect_ended(processes)
    assert running.wait_for("stopped", timeout_s=1) == {"status": "stopped", "owned": False}
    assert running.statuses == ["starting", "running", "stopped"]
    assert running.log.endswith("bgremove: stopped\n")


def test_quitting_during_the_start_does_not_wait_for_it(app: Callable[..., App]) -> None:
    """A user may close the application right after opening it."""
    running = app()
    processes = wait_for(psutil.Process(running.process.pid).children)
    running.send_stop()
    assert running.process.wait(STOP_TIMEOUT_S) == 0
    expect_ended(processes)
    assert running.wait_for("stopped", timeout_s=1)
    assert "failed" not in running.statuses


def test_a_killed_application_leaves_no_process(app: Callable[..., App]) -> None:
    """The service must notice the end of its stdin."""
    running = app()
    processes = running.make_busy()
    running.process.kill()
    expect_ended(processes, END_TIMEOUT_S)


def test_a_service_that_dies_is_reported_with_the_reason(app: Callable[..., App]) -> None:
    """The window must show it instead of waiting for an upload's response."""
    running = app()
    processes = running.make_busy()
    os.kill(running.states[-1]["pid"], signal.SIGKILL)
    failed = running.wait_for("failed", timeout_s=3)
    assert failed["reason"] == "ended"
    assert failed["signal"] == "SIGKILL"
    assert failed["error"].startswith("the service ended unexpectedly (signal SIGKILL)")
    assert any("model loaded" in line for line in failed["stderr"])
    assert running.process.wait(STOP_TIMEOUT_S) == 1
    expect_ended(processes)


@pytest.mark.slow
def test_a_frozen_service_is_reported_and_can_be_stopped(app: Callable[..., App]) -> None:
    """It reacts neither to its stdin nor to SIGTERM, and is killed."""
    running = app()
    processes = running.make_busy()
    pid = running.states[-1]["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert running.wait_for("unreachable", NOTICE_TIMEOUT_S)["owned"] is True
    os.kill(pid, signal.SIGCONT)
    running.wait_for("running", NOTICE_TIMEOUT_S)
    os.kill(pid, signal.SIGSTOP)
    running.send_stop()
    assert running.process.wait(STOP_TIMEOUT_S + 2) == 0
    expect_ended(processes)
