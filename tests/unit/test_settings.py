"""What the settings make of the environment."""

import pytest

from supervisor.settings import Settings, load_settings


@pytest.mark.parametrize("field", ["host", "token", "allowed_hosts", "keep_alive_s"])
def test_an_empty_variable_or_flag_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """Compose files set variables to nothing; an empty host would be every interface."""
    default = Settings.model_fields[field].default
    assert getattr(load_settings([f"--{field.replace('_', '-')}", ""]), field) == default
    monkeypatch.setenv(f"BGREMOVE_{field.upper()}", "")
    assert getattr(load_settings([]), field) == default


def test_a_token_from_a_file_is_what_clients_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file ends in a newline, and a header cannot."""
    monkeypatch.setenv("BGREMOVE_TOKEN", " s3cret\n")
    token = load_settings([]).token
    assert token is not None
    assert token.get_secret_value() == "s3cret"
