"""Normalisation of web origins and host names, for comparison with the headers Origin and Host."""

import re
from collections.abc import Collection

ANY_ORIGIN = "*"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_WEB_AUTHORITY = re.compile(r"(?!\.)[a-z0-9._-]+(:[0-9]+)?|\[[0-9a-f:.]+\](:[0-9]+)?")
_AUTHORITY = re.compile(r"[^/*\s]*")  # of other schemes: empty in file://, "." in app://.
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST_NAME = re.compile(r"\*|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*|(?!\.)[a-z0-9._-]+")  # any, IPv6, others


def is_allowed_origin(origin: str | None, allowed: Collection[str]) -> bool:
    """Whether the Origin of a request is among the allowed ones, or any is."""
    return origin in allowed or ANY_ORIGIN in allowed


def normalise_origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins as browsers serialise them (RFC 6454, 6.2). Raises ValueError."""
    return tuple(map(_normalise_origin, values))


def _normalise_origin(value: str) -> str:
    scheme, separator, host = value.lower().partition("://")
    if (scheme, separator) in (("null", ""), (ANY_ORIGIN, "")):
        return scheme
    host = host.removesuffix("/")
    authority = _WEB_AUTHORITY if scheme in _DEFAULT_PORTS else _AUTHORITY
    if not (separator and _SCHEME.fullmatch(scheme) and authority.fullmatch(host)):
        raise ValueError(f"{value!r} is not an origin such as https://example.com:8080, file://, null or *")
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ' '))}"


def normalise_host_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return host names and addresses as in Host headers, without port. Raises ValueError."""
    return tuple(map(_normalise_host_name, values))


def _normalise_host_name(value: str) -> str:
    name = value.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(
            f"{value!r} is not a host name or IP address: leave out scheme, port, path and wildcards"
        )
    return name
