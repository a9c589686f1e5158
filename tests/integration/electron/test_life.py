"""The service from its start to its end: whatever ends it, nothing is left behind."""

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.integration.electron.application import (
    NOTICE_TIMEOUT_S,
    STOP_TIMEOUT_S,
    App,
    expect_gone,
    needs_node,
)
from tests.service import END_TIMEOUT_S, wait_for

pytestmark = needs_node


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
