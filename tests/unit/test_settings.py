"""Settings from environment variables and flags: normalisation, validation, help."""

import os
import sys

import pytest

from supervisor.settings import BadSettings, Settings, load_settings


@pytest.mark.parametrize("field", ["host", "token", "allowed_hosts", "keep_alive_s"])
def test_an_empty_variable_or_flag_counts_as_unset(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """Compose files set variables to an empty string; an empty host would mean every interface."""
    default = Settings.model_fields[field].default
    assert getattr(load_settings([f"--{field.replace('_', '-')}", ""]), field) == default
    monkeypatch.setenv(f"BGREMOVE_{field.upper()}", "")
    assert getattr(load_settings([]), field) == default


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ALLOWED_ORIGINS", "nonsense", "not an origin"),
        ("ALLOWED_ORIGINS", "https://a.example/page", "not an origin"),
        ("ALLOWED_HOSTS", "http://a.example", "not a host name"),
        ("ALLOWED_HOSTS", "a.example:6905", "not a host name"),
        ("ALLOWED_HOSTS", "*.example", "not a host name"),
        ("ALLOWED_HOSTS", ".example.com", "not a host name"),
        ("ALLOWED_HOSTS", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "not a host name"),
        ("ALLOWED_ORIGINS", "https://*.example.com", "not an origin"),
        ("ALLOWED_ORIGINS", "://example.com", "not an origin"),
        ("ALLOWED_ORIGINS", "https://", "not an origin"),
        ("ALLOWED_ORIGINS", "https://a.example,*", "set BGREMOVE_TOKEN"),
    ],
)
def test_hosts_and_origins_that_cannot_match_are_invalid(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """Otherwise the setting looks right, and every request is refused."""
    monkeypatch.setenv(f"BGREMOVE_{name}", value)
    with pytest.raises(BadSettings, match=message):
        load_settings([])


def test_hosts_and_origins_are_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trailing slash of an origin, a default port, capitals."""
    origins = "http://localhost:3000/, file://, null, app://., https://Example.com:443, http://[::1]:8080"
    monkeypatch.setenv("BGREMOVE_ALLOWED_ORIGINS", origins)
    monkeypatch.setenv("BGREMOVE_ALLOWED_HOSTS", "Photos.example.,[::1],192.168.1.2,my_box,*")
    monkeypatch.setenv("BGREMOVE_LOG_LEVEL", "INFO")
    monkeypatch.setenv("BGREMOVE_LOG_FORMAT", "JSON")
    settings = load_settings([])
    assert settings.allowed_origins == (
        "http://localhost:3000",
        "file://",
        "null",
        "app://.",
        "https://example.com",
        "http://[::1]:8080",
    )
    assert settings.allowed_hosts == ("photos.example", "::1", "192.168.1.2", "my_box", "*")
    assert (settings.log_level, settings.log_format) == ("info", "json")


def test_any_origin_is_allowed_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of another origin does not know it."""
    monkeypatch.setenv("BGREMOVE_ALLOWED_ORIGINS", "*")
    assert load_settings(["--token", "s3cret"]).allowed_origins == ("*",)


def test_a_token_is_stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token file ends in a newline, which a header cannot contain."""
    monkeypatch.setenv("BGREMOVE_TOKEN", " s3cret\n")
    token = load_settings([]).token
    assert token is not None
    assert token.get_secret_value() == "s3cret"


@pytest.mark.parametrize("flags", [["--queue-limits", "8"], ["--port"], ["--port", "x"], ["--dtype", "x"]])
def test_an_invalid_flag_is_one_line(flags: list[str]) -> None:
    """As for a variable; argparse would print forty lines of usage above the error."""
    with pytest.raises(BadSettings) as refused:
        load_settings(flags)
    assert flags[0].strip("-").upper() in str(refused.value).upper()
    assert "\n" not in str(refused.value)


def test_the_help_has_no_python_terms(capsys: pytest.CaptureFixture[str]) -> None:
    """Operators need not read Python types and function names."""
    with pytest.raises(SystemExit):
        load_settings(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for python in ("tuple", "SecretStr", "factory", "None", "('", "()"):
        assert python not in text
    assert text.count("separated by commas") == 2
    assert "(default: 127.0.0.1,localhost,::1)" in text
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in text


@pytest.mark.skipif(sys.platform == "win32", reason="every user has a home folder there")
@pytest.mark.parametrize("data_dir", ["", "~/models"])
def test_without_a_home_folder_the_error_names_data_dir(
    data_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In containers with a numeric user id, the start failed with a traceback."""
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    monkeypatch.setenv("BGREMOVE_DATA_DIR", data_dir)
    with pytest.raises(BadSettings, match="no home folder: set BGREMOVE_DATA_DIR"):
        load_settings([])


@pytest.mark.parametrize("token", ["sécret", "s3\u00a0cret", "s3\ncret", "猫"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """The service started with it, and let nobody in."""
    with pytest.raises(BadSettings, match=r"BGREMOVE_TOKEN.*ASCII"):
        load_settings(["--token", token])
