"""Every setting of the service, from `BGREMOVE_…` in the environment or flags of `python -m supervisor`."""

import os
import re
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, CliSettingsSource, NoDecode, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from shared.catalog import DEFAULT_MODEL, DEFAULT_REVISION, find_model
from shared.errors import UnknownModel
from shared.logs import LogFormat
from shared.messages import Loader
from supervisor.platform.private_dir import is_owned_or_free

PREFIX = "BGREMOVE_"
FOLDER_NAME = "psi-ai-content-hub"
TEMP_FOLDER_NAME = "psi_ai_content_hub"
# Read by the command-line scripts, not by the supervisor.
SCRIPT_NAMES = frozenset({"BGREMOVE_NO_BOOTSTRAP"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_WEB_AUTHORITY = re.compile(r"(?!\.)[a-z0-9._-]+(:[0-9]+)?|\[[0-9a-f:.]+\](:[0-9]+)?")
_AUTHORITY = re.compile(r"[^/*\s]*")  # of other schemes: file:// has none, app://. an odd one
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST_NAME = re.compile(r"\*|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*|(?!\.)[a-z0-9._-]+")  # any, IPv6, others


def _default_data_dir() -> Path:
    return Path(platformdirs.user_data_dir(FOLDER_NAME, appauthor=False, roaming=True))


def _default_temp_dir() -> Path:
    """Return a folder of this user's own: on Linux all users share the system's temporary one."""
    folder = Path(tempfile.gettempdir()) / TEMP_FOLDER_NAME
    if is_owned_or_free(folder):
        return folder
    own = folder.with_name(f"{TEMP_FOLDER_NAME}-{os.getuid()}")
    if is_owned_or_free(own):
        return own
    raise BadSettings(f"{own} belongs to somebody else: name another folder with {PREFIX}TEMP_DIR")


def _split_commas(value: object) -> object:
    """Turn "a,b", or flags given several times, into separate names."""
    texts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in texts if part.strip()] if isinstance(texts, list) else texts


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins as browsers write them (RFC 6454, 6.2). Refuses what could match none."""
    return tuple(map(_origin, values))


def _origin(value: str) -> str:
    scheme, separator, host = value.lower().partition("://")
    if (scheme, separator) == ("null", ""):
        return scheme
    host = host.removesuffix("/")
    authority = _WEB_AUTHORITY if scheme in _DEFAULT_PORTS else _AUTHORITY
    if not (separator and _SCHEME.fullmatch(scheme) and authority.fullmatch(host)):
        raise ValueError(f"{value!r} is no origin such as https://example.com:8080, file:// or null")
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ' '))}"


def _host_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return host names and addresses as requests have them, without port. Refuses what could match none."""
    return tuple(map(_host_name, values))


def _host_name(value: str) -> str:
    name = value.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(f"{value!r} is no host name or address: it has no scheme, port, path or pattern")
    return name


def _known_model(value: str) -> str:
    try:
        find_model(value)
    except UnknownModel as error:
        raise ValueError(error.detail) from error
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
Origins = Annotated[Names, AfterValidator(_origins)]
HostNames = Annotated[Names, AfterValidator(_host_names)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
Format = Annotated[LogFormat, BeforeValidator(_lower)]
ModelName = Annotated[str, AfterValidator(_known_model)]
# A branch, a tag or a commit; it becomes part of addresses and of file names.
Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*$")]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# A file's ends in a newline, which no request can carry.
Token = Annotated[SecretStr, Field(min_length=1), BeforeValidator(_strip)]


class BadSettings(Exception):
    """The settings cannot be used; the message is one line for a person."""


class Settings(BaseSettings):
    """A self-hosted background-removal service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # a container's unset variable; "" would mean every interface, or no token
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_prog_name="python -m supervisor",
        cli_exit_on_error=False,  # a bad flag is told as a bad variable is
    )

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(6905, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data_dir: Folder = Field(
        default_factory=_default_data_dir,
        description="folder of the models (default: in the user's data folder)",
    )
    temp_dir: Folder = Field(
        default_factory=_default_temp_dir,
        description="folder of uploads and results (default: in the system's temporary folder)",
    )
    model: ModelName = Field(
        DEFAULT_MODEL, description="which BiRefNet: a name of the family, a hub id owner/name, or a folder"
    )
    revision: Revision = Field(DEFAULT_REVISION, description="branch or commit of the model on the hub")
    loader: Loader = Field(
        "native",
        description="how BiRefNet is loaded: native, or transformers, which runs code from the hub",
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:1 … or mps"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="precision: auto takes bfloat16 where the hardware has it"
    )
    cpu_fallback: bool = Field(
        default=False, description="try a removal on the CPU that the device has no memory for"
    )
    retention_s: Seconds = Field(3600, description="how long results are kept")
    cleanup_interval_s: Seconds = Field(60, description="how often expired results are deleted")
    max_upload_bytes: int = Field(64 * 1024**2, gt=0, description="largest upload or fetched image")
    max_pixels: int = Field(100_000_000, gt=0, description="largest image, width times height")
    queue_limit: int = Field(64, gt=0, description="removals waiting or running before clients get 429")
    token: Token | None = Field(None, description="when set, requests must carry it; prefer the variable")
    allowed_hosts: HostNames = Field(
        ("127.0.0.1", "localhost", "::1"),
        description="host names the service answers under, separated by commas; * for any",
    )
    allowed_origins: Origins = Field(
        (),
        description="origins of other pages that may use the service, separated by commas, such as app://. "
        "(Electron); null is every website's: only with a token",
    )
    url_allow_private: bool = Field(
        default=False,
        description="let image URLs lead to private addresses and the networks that this machine is in",
    )
    preload: bool = Field(
        default=False, description="load a model at the start: BiRefNet if it is on disk, else the built-in"
    )
    keep_alive_s: Seconds | None = Field(
        None,
        description="end a worker idle that long; without it only the built-in's ends, after 60",
    )
    start_timeout_s: Seconds = Field(60, description="deadline for a worker process to come up")
    load_timeout_s: Seconds = Field(
        120, description="deadline between two signs of progress in a model's load"
    )
    job_timeout_s: Seconds = Field(300, description="deadline for one removal")
    builtin_worker: str = Field(
        "worker.main:serve", description="entry point of the built-in model's worker (tests)"
    )
    birefnet_worker: str = Field("worker.main:serve", description="entry point of BiRefNet's worker (tests)")
    exit_on_stdin_eof: bool = Field(
        default=False, description="end when standard input closes, so that no parent leaves us behind"
    )
    log_level: Level = Field("info", description="least severe level that is logged")
    log_format: Format = Field("text", description="format of log lines: text (logfmt) or json")


def load_settings(arguments: list[str] | None = None) -> Settings:
    """Read the settings; `arguments` are command-line flags, which win over the environment.

    Raises BadSettings for unknown names and bad values; SystemExit for --help.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | SCRIPT_NAMES
    unknown = sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )
    if unknown:
        raise BadSettings(f"unknown setting {unknown[0]} in the environment")
    try:
        flags: CliSettingsSource[Any] = CliSettingsSource(
            Settings, cli_parse_args=arguments, add_argument_method=_add_flag
        )
        return Settings(_cli_settings_source=flags)  # type: ignore[call-arg]  # fields come from outside
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        reason = first.get("ctx", {}).get("error", first["msg"])
        raise BadSettings(f"bad value for {name}: {reason}") from error
    except RuntimeError as error:  # platformdirs' and pathlib's word
        raise BadSettings(f"there is no home folder: set {PREFIX}DATA_DIR, and no folder with ~") from error
    except SettingsError as error:
        raise BadSettings(str(error).splitlines()[0].removeprefix("error parsing CLI: ")) from error


def _add_flag(parser: ArgumentParser, *names: str, **told: Any) -> None:  # noqa: ANN401  # argparse's own
    """Add a flag, told for people: pydantic-settings has types and defaults as Python writes them."""
    field = Settings.model_fields.get(told.get("dest", ""))
    if field is not None:
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        known = field.default_factory is None and default not in (None, "")
        told["help"] = f"{field.description} (default: {default})" if known else field.description
        if "{" not in told.get("metavar", "{"):  # no choices: a type, where argparse has the flag's name
            del told["metavar"]
    parser.add_argument(*names, **told)
