"""Client of the model hub, through `huggingface_hub`: lists a repository's files and streams their bytes.

Importing this reads HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and the like from the environment.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from huggingface_hub import constants, get_session, hf_hub_url
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented there

from shared.errors import (
    DownloadDamaged,
    DownloadDenied,
    DownloadFailed,
    ModelNotFound,
    ModelUnusable,
)
from shared.hub_cache import COMMIT, format_bytes, select_files, select_weights

HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
RETRYABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
MAX_LISTING_BYTES = 16 * 1024**2  # a repository of fifty thousand files
LISTING_TIMEOUT_S = 60.0  # of the whole response; the timeout of a read is the hub client's
MAX_MODEL_FILES = 1000  # the largest models have two hundred shards
MAX_FILE_BYTES = (1 << 63) - 1  # of off_t
NOT_A_HUB = "The response is not that of a model hub: check HF_ENDPOINT and the proxy settings."


class RetryableError(Exception):
    """A transient failure of the hub or the connection, as a sentence for the user.

    `retry_after_s` is the hub's `Retry-After`.
    """

    def __init__(self, sentence: str, retry_after_s: float = 0) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository. `etag` is its SHA-256 if it is in LFS, else its git blob hash (SHA-1)."""

    name: str
    size: int
    etag: str
    in_lfs: bool


@dataclass(frozen=True, slots=True)
class RepoFiles:
    """The model's files in one commit of a repository, the smallest first."""

    commit: str
    files: list[HubFile]


class Hub:
    """One repository on the hub. Every method may raise RetryableError or DownloadFailed."""

    def __init__(self, repo_id: str, revision: str) -> None:
        self._repo_id = repo_id
        self._revision = revision

    def list_files(self, *, code: bool) -> RepoFiles:
        """Return the model's files at the revision. Raises ModelUnusable if there are no weights."""
        with self._translate_errors():
            listing = json.loads(self._read_listing())
            commit, entries = listing["sha"], {file["rfilename"]: file for file in listing["siblings"]}
            if not COMMIT.fullmatch(commit):
                raise DownloadFailed(NOT_A_HUB)
            wanted = select_files(entries, code=code)
            self._check_selection(wanted)
            files = [_parse_file(name, entries[name]) for name in wanted]
        return RepoFiles(commit, sorted(files, key=lambda file: (file.size, file.name)))

    def _read_listing(self) -> bytes:
        """Return the hub's JSON of the repository, at most MAX_LISTING_BYTES of it."""
        revision = quote(self._revision, safe="")
        url = f"{constants.ENDPOINT}/api/models/{self._repo_id}/revision/{revision}?blobs=true"
        deadline_s = time.monotonic() + LISTING_TIMEOUT_S
        content = bytearray()
        with self._request(url, {}) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_LISTING_BYTES:
                    raise DownloadFailed(
                        f"{_host()} lists more than {format_bytes(MAX_LISTING_BYTES)} of files for "
                        f"{self._repo_id}: check HF_ENDPOINT, or choose a repository of the model alone."
                    )
                if time.monotonic() > deadline_s:
                    raise httpx2.ReadTimeout("The listing is sent too slowly.")
        return bytes(content)

    def _check_selection(self, names: set[str]) -> None:
        """Raise ModelUnusable for a repository without weights, or with more files than a model has."""
        if not select_weights(names):
            raise ModelUnusable(
                f"{self._repo_id} has no *.safetensors file, the only weights that this service reads."
            )
        if len(names) > MAX_MODEL_FILES:
            raise ModelUnusable(
                f"{self._repo_id} has {len(names):,} files of weights and code; this service downloads "
                f"{MAX_MODEL_FILES:,} at most: choose a repository of one model."
            )

    @contextmanager
    def stream_file(self, commit: str, file: HubFile, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Request a file's bytes from `offset` on; yields the actual start offset, and the bytes."""
        # Every request starts at the hub, since the URLs it redirects to expire.
        url = hf_hub_url(self._repo_id, file.name, revision=commit)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with ExitStack() as stack:
            with self._translate_errors():
                response = stack.enter_context(self._request(url, headers))
            yield offset if response.status_code == httpx2.codes.PARTIAL_CONTENT else 0, self._bytes(response)

    @contextmanager
    def _request(self, url: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
        """Send a GET request; yields the response, its body unread. Raises the error of its status.

        `huggingface_hub` would read the whole body of an error, whatever its size.
        """
        with get_session().stream(
            "GET",
            url,
            headers=build_hf_headers(headers={"Accept-Encoding": "identity"} | headers),
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        ) as response:
            if not response.is_success:
                raise self._translate_status(response)
            yield response

    def _bytes(self, response: httpx2.Response) -> Iterator[bytes]:
        with self._translate_errors():
            yield from response.iter_bytes()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise RetryableError or DownloadFailed in place of every error of a request."""
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise DownloadFailed("HF_HUB_OFFLINE is set, so nothing is downloaded: unset it.") from error
        except httpx2.TimeoutException as error:
            raise RetryableError(f"{_host()} timed out.") from error
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise DownloadFailed(NOT_A_HUB) from error
        except httpx2.ConnectError as error:
            # The reason distinguishes DNS, TLS and refused connections, each with another fix.
            raise RetryableError(f"There is no connection to {_host()}: {_first_line(error)}.") from error
        except httpx2.ProxyError as error:
            raise RetryableError(f"The proxy refused the connection to {_host()}.") from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise RetryableError(f"The connection to {_host()} broke off.") from error
        except (httpx2.HTTPError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise DownloadFailed(NOT_A_HUB) from error  # such as a captive portal
        except OSError as error:  # such as unreadable certificates
            raise DownloadFailed(f"The request to the hub failed: {_first_line(error)}.") from error

    def _translate_status(self, response: httpx2.Response) -> Exception:
        status = response.status_code
        sentence = f"{_host()} answered {status}."
        match status:
            case 401 | 403:
                return DownloadDenied(
                    f"{_host()} denied access to {self._repo_id} ({status}): "
                    "set HF_TOKEN to a token that may read it, or check the name."
                )
            case 404:
                return ModelNotFound(
                    f"{_host()} has no model {self._repo_id} with a revision {self._revision!r}."
                )
            case 416:
                return DownloadDamaged(
                    f"{_host()} has fewer bytes of a file than it announced; download again."
                )
            case 429:
                advice = "it asks to wait; a token in HF_TOKEN raises its limits."
                return RetryableError(f"{sentence[:-1]}: {advice}", _parse_retry_after(response.headers))
            case _ if status in RETRYABLE_STATUSES:
                return RetryableError(sentence, _parse_retry_after(response.headers))
        return DownloadFailed(sentence)


def _parse_file(name: str, entry: dict[str, Any]) -> HubFile:
    """Validate a file's metadata: the hash becomes part of a path."""
    lfs = entry.get("lfs")
    etag, size = (lfs["sha256"], lfs["size"]) if lfs else (entry["blobId"], entry["size"])
    if not HASH.fullmatch(etag) or not 0 <= size <= MAX_FILE_BYTES or not isinstance(size, int):
        raise DownloadFailed(NOT_A_HUB)
    return HubFile(name, size, etag, in_lfs=bool(lfs))


def _parse_retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of `Retry-After`; 0 if it is missing or a date (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdecimal() else 0


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _host() -> str:
    return urlsplit(constants.ENDPOINT).hostname or "The hub"
