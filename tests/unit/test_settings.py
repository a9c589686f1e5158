"""What the settings make of the environment."""

import os
import sys

import pytest

from supervisor.settings import BadSettings, Settings, load_settings


@pytest.mark.parametrize("field", ["host", "token", "allowed_hosts", "keep_alive_s"])
def test_an_empty_variable_or_flag_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """Compose files set variables to nothing; an empty host would be every interface."""
    default = Settings.model_fields[field].default
    assert getattr(load_settings([f"--{field.replace('_', '-')}", ""]), field) == default
    monkeypatch.setenv(f"BGREMOVE_{field.upper()}", "")
    assert getattr(load_settings([]), field) == default


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALLOWED_ORIGINS", "nonsense", "no origin"),
        ("ALLOWED_ORIGINS", "https://a.example/page", "no origin"),
        ("ALLOWED_HOSTS", "http://a.example", "no host name"),
        ("ALLOWED_HOSTS", "a.example:6905", "no host name"),
        ("ALLOWED_HOSTS", "*.example", "no host name"),
        ("ALLOWED_HOSTS", ".example.com", "no host name"),
        ("ALLOWED_HOSTS", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "no host name"),
        ("ALLOWED_ORIGINS", "https://*.example.com", "no origin"),
        ("ALLOWED_ORIGINS", "://example.com", "no origin"),
        ("ALLOWED_ORIGINS", "https://", "no origin"),
    ],
)
def test_names_that_could_match_nobody_end_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    """Else the setting looks right, and every request is refused."""
    monkeypatch.setenv(f"BGREMOVE_{name}", value)
    with pytest.raises(BadSettings, match=said):
        load_settings([])


def test_names_are_taken_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slash at the end of an origin, capitals in a level."""
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


def test_a_token_from_a_file_is_what_clients_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file ends in a newline, and a header cannot."""
    monkeypatch.setenv("BGREMOVE_TOKEN", " s3cret\n")
    token = load_settings([]).token
    assert token is not None
    assert token.get_secret_value() == "s3cret"


@pytest.mark.parametrize("flags", [["--queue-limits", "8"], ["--port"], ["--port", "x"], ["--dtype", "x"]])
def test_a_bad_flag_is_told_in_one_line(flags: list[str]) -> None:
    """As a bad variable is; the usage is forty lines, and hides what was wrong below them."""
    with pytest.raises(BadSettings) as refused:
        load_settings(flags)
    assert flags[0].strip("-").upper() in str(refused.value).upper()
    assert "\n" not in str(refused.value)


def test_the_help_is_in_words_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Who operates a service need not read Python's types and the names of its functions."""
    with pytest.raises(SystemExit):
        load_settings(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    for python in ("tuple", "SecretStr", "factory", "None", "('", "()"):
        assert python not in told
    assert told.count("separated by commas") == 2
    assert "(default: 127.0.0.1,localhost,::1)" in told
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in told


@pytest.mark.skipif(sys.platform == "win32", reason="every user has a home there")
@pytest.mark.parametrize("data_dir", ["", "~/models"])
def test_a_user_without_a_home_is_told_what_to_set(data_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In containers that run as a number, the start ended in a traceback."""
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    monkeypatch.setenv("BGREMOVE_DATA_DIR", data_dir)
    with pytest.raises(BadSettings, match="no home folder: set BGREMOVE_DATA_DIR"):
        load_settings([])
