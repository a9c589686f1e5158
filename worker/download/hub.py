"""The model hub, asked through `huggingface_hub`: what a repository holds, and the bytes of one file.

Importing this reads HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and the like from the environment.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented there

from shared.errors import (
    DownloadDamaged,
    DownloadDenied,
    DownloadFailed,
    ModelNotFound,
    ModelUnusable,
)
from shared.hub_cache import COMMIT, select_files, select_weights

HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
NOT_A_HUB = "What answers does not answer like a model hub; check HF_ENDPOINT and the proxy."


class Interrupted(Exception):
    """The hub could not be asked, or broke off; the same may work in a moment. Says why in a sentence.

    `wait_s` is how long the hub asks to wait.
    """

    def __init__(self, said: str, wait_s: float = 0) -> None:
        super().__init__(said)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository. `etag` is its SHA-256 where it is kept in LFS, else git's SHA-1 of it."""

    name: str
    size: int
    etag: str
    in_lfs: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What belongs to the model in one commit of a repository, small files first."""

    commit: str
    files: list[HubFile]


class Hub:
    """One repository on the hub. Every method may raise Interrupted, or a DownloadFailed."""

    def __init__(self, repo_id: str, revision: str) -> None:
        self._repo_id = repo_id
        self._revision = revision

    def listing(self, *, code: bool) -> Listing:
        """Return the model's files at the revision. Raises ModelUnusable where it has no weights."""
        with self._failures():
            info = HfApi().model_info(
                self._repo_id,
                revision=self._revision,
                files_metadata=True,
                timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
            )
        if not COMMIT.fullmatch(info.sha or ""):
            raise DownloadFailed(NOT_A_HUB)
        names = [file.rfilename for file in info.siblings or []]
        wanted = select_files(names, code=code)
        if not select_weights(wanted):
            raise ModelUnusable(
                f"{self._repo_id} has no *.safetensors file, the only weights that this service reads."
            )
        files = [_known(file) for file in info.siblings or [] if file.rfilename in wanted]
        return Listing(info.sha or "", sorted(files, key=lambda file: file.size))

    @contextmanager
    def opened(self, commit: str, file: HubFile, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Ask for a file's bytes from `offset` on; gives where they really begin, and the bytes."""
        # Every request starts at the hub, since the addresses that it redirects to are good for a while only.
        url = hf_hub_url(self._repo_id, file.name, revision=commit)
        wish = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        with ExitStack() as stack:
            with self._failures():
                response = stack.enter_context(
                    get_session().stream(
                        "GET",
                        url,
                        headers=build_hf_headers(headers=wish),
                        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
                    )
                )
                hf_raise_for_status(response)
            yield offset if response.status_code == httpx2.codes.PARTIAL_CONTENT else 0, self._bytes(response)

    def _bytes(self, response: httpx2.Response) -> Iterator[bytes]:
        with self._failures():
            yield from response.iter_bytes()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn every way that a request can fail into a sentence."""
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise DownloadFailed("HF_HUB_OFFLINE is set, so nothing is fetched from the hub.") from error
        except HfHubHTTPError as error:
            raise self._refusal(error) from error
        except httpx2.TimeoutException as error:
            raise Interrupted(f"{_host()} does not answer any more.") from error
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise DownloadFailed(NOT_A_HUB) from error
        except httpx2.ConnectError as error:
            # The reason may be a certificate, a name or a port: each is mended elsewhere.
            raise Interrupted(f"There is no connection to {_host()}: {_reason(error)}.") from error
        except httpx2.ProxyError as error:
            raise Interrupted(f"The proxy does not let us through to {_host()}.") from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise Interrupted(f"The connection to {_host()} broke off.") from error
        except (httpx2.HTTPError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise DownloadFailed(NOT_A_HUB) from error  # such as a hotel's login page
        except OSError as error:  # such as certificates that cannot be read
            raise DownloadFailed(f"The hub cannot be asked: {_reason(error)}.") from error

    def _refusal(self, error: HfHubHTTPError) -> Exception:
        status = error.response.status_code
        said = f"{_host()} answered {status}."
        match status:
            case 401 | 403:
                return DownloadDenied(
                    f"{_host()} does not give {self._repo_id} to this machine ({status}): "
                    "set HF_TOKEN to a token that may read it, or check the name."
                )
            case 404:
                return ModelNotFound(
                    f"{_host()} has no model {self._repo_id} with a revision {self._revision!r}."
                )
            case 416:
                return DownloadDamaged(f"{_host()} has fewer bytes of a file than it says; download again.")
            case 429:
                advice = "it asks to wait; a token in HF_TOKEN raises its limits."
                return Interrupted(f"{said[:-1]}: {advice}", _seconds(error.response.headers))
            case _ if status in RETRIED_STATUSES:
                return Interrupted(said, _seconds(error.response.headers))
        return DownloadFailed(said)


def _known(file: RepoSibling) -> HubFile:
    """Return a file as this project wants to know it; what becomes a path is looked at closely."""
    etag = file.lfs.sha256 if file.lfs else file.blob_id
    size = file.lfs.size if file.lfs else file.size
    if not etag or not HASH.fullmatch(etag) or size is None or size < 0:
        raise DownloadFailed(NOT_A_HUB)
    return HubFile(file.rfilename, size, etag, in_lfs=file.lfs is not None)


def _seconds(headers: Mapping[str, str]) -> float:
    """Return how long `Retry-After` asks to wait; 0 where it says nothing, or a date (RFC 9110, 10.2.3)."""
    said = headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdecimal() else 0


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _host() -> str:
    return urlsplit(constants.ENDPOINT).hostname or "The hub"
