"""A port that is taken, adoption of a running service, tokens."""

from collections.abc import Callable

import psutil
import pytest

from tests.integration.electron.application import (
    NOTICE_TIMEOUT_S,
    STOP_TIMEOUT_S,
    App,
    needs_node,
)
from tests.integration.fake_service import Script, fake_service
from tests.service import OBEYS, Service

pytestmark = needs_node


def test_another_bgremove_on_the_port_is_refused_by_name(app: Callable[..., App], fake: Service) -> None:
    """Images must not go to another user's service unless `adopt` is set."""
    running = app(port=fake.port)
    failed = running.wait_for("failed")
    assert failed["reason"] == "port_taken"
    assert failed["error"] == f"port {fake.port} is taken: another bgremove answers there"
    assert running.process.wait(STOP_TIMEOUT_S) == 1
    assert running.log.endswith(f"bgremove: {failed['error']}\n")


def test_an_adopted_bgremove_is_used_and_outlives_the_application(
    app: Callable[..., App], fake: Service
) -> None:
    """A service that was started elsewhere must not be ended."""
    running = app("--adopt", port=fake.port)
    state = running.wait_for("running")
    assert (state["owned"], state["pid"]) == (False, fake.process.pid)
    running.send_stop()
    assert running.process.wait(STOP_TIMEOUT_S) == 0
    assert fake.client.get("/health").status_code == 200


def test_an_adopted_bgremove_that_ends_is_reported(
    app: Callable[..., App], start: Callable[..., Service]
) -> None:
    """It is no child process; only polling detects its end."""
    service = start(builtin_worker=OBEYS)
    running = app("--adopt", port=service.port)
    running.wait_for("running")
    service.end()
    assert running.wait_for("unreachable", NOTICE_TIMEOUT_S)["owned"] is False


@pytest.mark.parametrize("flags", [[], ["--adopt"]], ids=["refusing", "adopting"])
def test_another_program_on_the_port_is_refused(app: Callable[..., App], flags: list[str]) -> None:
    """Otherwise it would receive the images and the token."""
    script = Script()
    with fake_service(script) as address:
        port = int(address.rpartition(":")[2])
        failed = app(*flags, port=port, token="confidential").wait_for("failed")
    assert failed["reason"] == "port_taken"
    assert failed["error"] == f"port {port} is taken: the server there is not bgremove (status 200)"
    assert script.tokens == {None}


def test_the_token_is_required_and_not_visible_in_process_lists(app: Callable[..., App]) -> None:
    """All local users can read the arguments of processes."""
    running = app(token="confidential")
    with running.client() as anonymous, running.client("confidential") as owner:
        assert anonymous.get("/status").status_code == 401
        assert owner.get("/status").status_code == 200
    for process in psutil.Process(running.process.pid).children(recursive=True):
        assert "confidential" not in " ".join(process.cmdline())


def test_settings_of_a_network_server_do_not_deny_access_to_the_application(app: Callable[..., App]) -> None:
    """They may be in the environment for another server."""
    with app(host="0.0.0.0", allowed_hosts="photos.example").client() as client:  # noqa: S104 - must not be inherited
        assert client.get("/status").status_code == 200


def test_a_bgremove_with_another_token_is_not_adopted(
    app: Callable[..., App], start: Callable[..., Service]
) -> None:
    """Otherwise every removal would fail."""
    service = start(token="theirs")
    failed = app("--adopt", port=service.port, token="ours").wait_for("failed")
    assert failed["error"] == f"port {service.port} is taken: the bgremove there requires another token"
