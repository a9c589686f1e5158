"""Settings of the service, from `BGREMOVE_…` environment variables or flags of `python -m supervisor`."""

import os
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from shared.catalog import DEFAULT_MODEL, DEFAULT_REVISION
from shared.messages import Loader
from supervisor.net.origins import ANY_ORIGIN
from supervisor.platform.private_dir import is_owned_or_free
from supervisor.setting_types import (
    ClusterAddress,
    Devices,
    Format,
    HostNames,
    Level,
    ModelName,
    Origins,
    Revision,
    Seconds,
    Token,
    UserPath,
)

PREFIX = "BGREMOVE_"
FOLDER_NAME = "psi-ai-content-hub"
TEMP_FOLDER_NAME = "psi_ai_content_hub"
# Environment variables of the command-line scripts, which the supervisor ignores.
SCRIPT_NAMES = frozenset({"BGREMOVE_NO_BOOTSTRAP"})


def _default_data_dir() -> Path:
    return Path(platformdirs.user_data_dir(FOLDER_NAME, appauthor=False, roaming=True))


def _default_temp_dir() -> Path:
    """Return a folder below the system's temporary folder that no other user owns."""
    folder = Path(tempfile.gettempdir()) / TEMP_FOLDER_NAME
    if is_owned_or_free(folder):
        return folder
    own = folder.with_name(f"{TEMP_FOLDER_NAME}-{os.getuid()}")
    if is_owned_or_free(own):
        return own
    raise BadSettings(f"the temporary folder {own} belongs to another user: set {PREFIX}TEMP_DIR")


class BadSettings(Exception):
    """Invalid settings; the message is one line for the operator."""


class Settings(BaseSettings):
    """A self-hosted background-removal service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # compose files pass unset variables as ""
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_prog_name="python -m supervisor",
        cli_exit_on_error=False,  # invalid flags and variables are both reported as BadSettings
    )

    host: str = Field("127.0.0.1", min_length=1, description="IP address or host name to listen on")
    port: int = Field(6905, ge=0, le=65535, description="TCP port to listen on; 0 chooses a free one")
    data_dir: UserPath = Field(
        default_factory=_default_data_dir,
        description="folder of downloaded models (default: in the user's data folder)",
    )
    temp_dir: UserPath = Field(
        default_factory=_default_temp_dir,
        description="folder of workers' logs and, if not durable, of uploads and results (default: in the "
        "system's temporary folder)",
    )
    durable: bool = Field(
        default=True, description="keep accepted removals and results across restarts, in the spool folder"
    )
    spool_dir: UserPath | None = Field(
        None, description="folder of accepted removals and results (default: spool in the data folder)"
    )
    model: ModelName = Field(
        DEFAULT_MODEL, description="BiRefNet model: a catalogue name, a hub id owner/name, a folder or a file"
    )
    revision: Revision = Field(DEFAULT_REVISION, description="branch, tag or commit of the model on the hub")
    loader: Loader = Field(
        "native",
        description="loader of BiRefNet: native, or transformers, which executes code from the hub",
    )
    cluster: ClusterAddress | None = Field(
        None, description="Ray cluster whose nodes serve too: auto, or HOST:PORT of its head (default: none)"
    )
    device: Devices = Field(
        "auto",
        description="devices of the models: auto (every GPU, else the CPU), a list such as cuda:0,cuda:1, "
        "mps, cpu, cpu*2 for two workers that share the CPU, or none: only those of the cluster",
    )
    cluster_gpus_per_actor: float = Field(
        1, gt=0, le=1, description="share of a GPU of the cluster that a model takes; 0.5: two models per GPU"
    )
    cluster_cpus_per_actor: float | None = Field(
        None, gt=0, description="cores that a worker takes on nodes without GPU (default: all of the node)"
    )
    replicas: int | None = Field(
        None, gt=0, description="on how many devices a model is loaded (default: on all)"
    )
    max_loaded_models: int = Field(
        3,
        gt=0,
        description="how many models a device holds; the least recently used is evicted for another",
    )
    auto_download: bool = Field(
        default=False, description="download a model of the catalogue when a removal asks for it"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="floating-point precision of BiRefNet; auto: bfloat16 if the hardware supports it"
    )
    cpu_fallback: bool = Field(
        default=False, description="fall back to the CPU when the GPU runs out of memory"
    )
    presets: UserPath | None = Field(
        None, description="TOML file with presets of removal options, each table one preset"
    )
    retention_s: Seconds = Field(3600, description="how long results are kept, in seconds")
    cleanup_interval_s: Seconds = Field(
        60, description="interval between deletions of expired results, in seconds"
    )
    max_upload_bytes: int = Field(
        64 * 1024**2, gt=0, description="maximum size of an uploaded or fetched image, in bytes"
    )
    max_pixels: int = Field(100_000_000, gt=0, description="maximum image size, width times height in pixels")
    queue_limit: int = Field(
        64, gt=0, description="maximum number of queued and running removals; further ones get status 429"
    )
    rate_limit_mp_per_min: int | None = Field(
        None,
        gt=0,
        description="megapixels of photos per client and minute on remove.bg's route; further ones get "
        "status 429 (default: no limit)",
    )
    token: Token | None = Field(
        None, description="token that requests must send; prefer the environment variable"
    )
    allowed_hosts: HostNames = Field(
        ("127.0.0.1", "localhost", "::1"),
        description="host names accepted in the Host header, separated by commas; * for any",
    )
    allowed_origins: Origins = Field(
        (),
        description="web origins allowed by CORS, separated by commas, such as app://. (Electron); null "
        "allows every website: only with a token; * for any, which requires a token",
    )
    url_allow_private: bool = Field(
        default=False,
        description="allow image URLs on private addresses and on this machine's networks",
    )
    callback_allow_private: bool = Field(
        default=False,
        description="allow webhooks to private addresses and to this machine's networks",
    )
    callback_secret: Token | None = Field(
        None, description="secret that signs webhooks; prefer the environment variable"
    )
    preload: bool = Field(
        default=False, description="load a model at startup: BiRefNet if downloaded, else the built-in model"
    )
    keep_alive_s: Seconds | None = Field(
        None,
        description="stop idle workers after this many seconds (default: 60 for the built-in model)",
    )
    start_timeout_s: Seconds = Field(60, description="timeout for the start of a worker process, in seconds")
    load_timeout_s: Seconds = Field(120, description="timeout for a model load without progress, in seconds")
    job_timeout_s: Seconds = Field(300, description="timeout for one removal, in seconds")
    builtin_worker: str = Field(
        "worker.main:serve", description="entry point of the built-in model's worker (for tests)"
    )
    birefnet_worker: str = Field(
        "worker.main:serve", description="entry point of BiRefNet's worker (for tests)"
    )
    instance: int | None = Field(
        None,
        ge=0,
        le=255,
        description="number of this service among several behind a proxy: ids of tasks and files end in it, "
        "as two hexadecimal digits (default: none)",
    )
    exit_on_stdin_eof: bool = Field(
        default=False, description="exit when stdin closes, for embedding in a parent process"
    )
    log_level: Level = Field("info", description="least severe level that is logged")
    log_format: Format = Field("text", description="format of log lines: text (logfmt) or json")

    @field_validator("allowed_origins")
    @classmethod
    def _require_token_for_any_origin(cls, origins: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Reject * without a token, with which any website could use the service of its visitor (CSRF)."""
        if ANY_ORIGIN in origins and info.data.get("token") is None:
            raise ValueError(f"{ANY_ORIGIN} lets every website call this service: set {PREFIX}TOKEN")
        return origins

    @field_validator("device")
    @classmethod
    def _require_a_device(cls, device: str, info: ValidationInfo) -> str:
        if device == "none" and info.data.get("cluster") is None:
            raise ValueError(f"none is for a service before a cluster: set {PREFIX}CLUSTER")
        return device

    @property
    def spool_folder(self) -> Path:
        """The folder of accepted removals and results."""
        return self.spool_dir or self.data_dir / "spool"


def load_settings(arguments: list[str] | None = None) -> Settings:
    """Read the settings; `arguments` are command-line flags, which take precedence over the environment.

    Raises BadSettings for unknown names and invalid values, SystemExit for --help.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | SCRIPT_NAMES
    unknown = sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )
    if unknown:
        raise BadSettings(f"unknown setting {unknown[0]} in the environment; --help lists all settings")
    try:
        flags: CliSettingsSource[Any] = CliSettingsSource(
            Settings, cli_parse_args=arguments, add_argument_method=_add_flag
        )
        return Settings(_cli_settings_source=flags)  # type: ignore[call-arg]  # the fields come from the sources
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        reason = first.get("ctx", {}).get("error", first["msg"])
        raise BadSettings(f"bad value for {name}: {reason}") from error
    except RuntimeError as error:  # of platformdirs and pathlib, without a home folder
        raise BadSettings(f"no home folder: set {PREFIX}DATA_DIR to a path without ~") from error
    except SettingsError as error:
        raise BadSettings(str(error).splitlines()[0].removeprefix("error parsing CLI: ")) from error


def _add_flag(parser: ArgumentParser, *names: str, **options: Any) -> None:  # noqa: ANN401  # argparse's
    """Add a flag with a readable help text; pydantic-settings shows types and defaults as Python code."""
    field = Settings.model_fields.get(options.get("dest", ""))
    if field is not None:
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        show_default = field.default_factory is None and default not in (None, "")
        options["help"] = f"{field.description} (default: {default})" if show_default else field.description
        if "{" not in options.get("metavar", "{"):  # a Python type; argparse's default is the flag's name
            del options["metavar"]
    parser.add_argument(*names, **options)
