"""Types of the settings: how their texts are read and validated."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from shared.catalog import find_model
from shared.errors import UnknownModel
from shared.logs import LogFormat
from supervisor.net.origins import normalise_host_names, normalise_origins
from supervisor.workers.device import parse_devices


def _split_commas(value: object) -> object:
    """Split "a,b", or the values of a repeated flag, into stripped names."""
    texts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in texts if part.strip()] if isinstance(texts, list) else texts


def _strip(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _check_model(value: str) -> str:
    try:
        find_model(value)
    except UnknownModel as error:
        raise ValueError(error.detail) from error
    return value


def _check_devices(value: str) -> str:
    parse_devices(value)
    return value


def _validate_token(token: SecretStr) -> SecretStr:
    """Reject a token that no HTTP header can carry as it is (RFC 9110, 5.5)."""
    if not re.fullmatch(r"[\x20-\x7e]+", token.get_secret_value()):
        raise ValueError("a token has printable ASCII characters only")
    return token


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
Origins = Annotated[Names, AfterValidator(normalise_origins)]
HostNames = Annotated[Names, AfterValidator(normalise_host_names)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
Format = Annotated[LogFormat, BeforeValidator(_lower)]
ClusterAddress = Annotated[str, Field(pattern=r"^(auto|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})$")]
Devices = Annotated[str, AfterValidator(_check_devices)]
ModelName = Annotated[str, AfterValidator(_check_model)]
# A branch, tag or commit; it becomes part of URLs and file names.
Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*$")]
UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Stripped: a token read from a file ends in a newline, which a header cannot contain.
Token = Annotated[SecretStr, Field(min_length=1), BeforeValidator(_strip), AfterValidator(_validate_token)]
