"""`bgremove.py` as a client of a running server: status, load, unload, restart-worker."""

from collections.abc import Callable

import pytest

from tests.integration.commands import bgremove
from tests.service import OBEYS, Service

COMMANDS = ("serve", "status", "load", "unload", "restart-worker")


def test_a_model_is_loaded_restarted_and_unloaded(start: Callable[..., Service]) -> None:
    """Without curl and the API's reference."""
    service = start(builtin_worker=OBEYS)
    server = ("--server", f"http://127.0.0.1:{service.port}")

    def ask(*words: str) -> str:
        done = bgremove(*words, *server)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert ask("load", "builtin") == "builtin is loaded\n"
    assert "builtin on cpu: ready" in ask("status")
    pid = service.worker()["pid"]
    assert ask("restart-worker", "builtin") == "the worker was restarted\n"
    assert service.worker()["pid"] != pid
    assert ask("unload", "builtin").startswith("builtin is unloaded")
    assert ask("unload", "builtin") == "builtin was not loaded\n"


def test_a_server_that_does_not_run_is_a_clear_error() -> None:
    """No traceback."""
    done = bgremove("status", "--server", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no connection to http://127.0.0.1:9" in done.stderr


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)])
def test_the_help_fits_a_screen_and_has_an_example(words: tuple[str, ...]) -> None:
    """24 lines of 80 columns."""
    lines = bgremove(*words, "--help", settings={"COLUMNS": "80"}).stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[-2:][0] == "example:"
    assert lines[-1].startswith("  python3 scripts/bgremove.py ")


def test_serve_passes_its_flags_on() -> None:
    """The server's own words refuse a bad value."""
    done = bgremove("serve", "--queue-limit", "many")
    assert done.returncode != 0
    assert "bad value for BGREMOVE_QUEUE_LIMIT" in done.stderr
