"""Every error a client can meet, in one tree. A class's docstring is its default sentence.

BgremoveError                       500  internal_error
├── BadInput                        422  invalid_request
│   ├── MalformedRequest            400  malformed_request
│   ├── InvalidOption               422  invalid_option
│   ├── ResultTooLarge              422  result_too_large
│   ├── UnknownModel                422  unknown_model
│   ├── ModelNotServed              400  model_not_served
│   ├── NotAnImage                  415  not_an_image
│   ├── DamagedImage                422  damaged_image
│   ├── TooManyPixels               413  too_many_pixels
│   ├── UploadTooLarge              413  upload_too_large
│   ├── UploadStalled               408  upload_stalled
│   ├── UrlRefused                  400  url_refused
│   └── UrlFailed                   400  url_failed
├── AccessDenied                    403  access_denied
│   ├── Unauthorized                401  unauthorized
│   ├── HostRefused                 403  host_refused
│   ├── OriginRefused               403  origin_refused
│   └── LocalOnly                   403  local_only
├── NotFound                        404  not_found
├── MethodRefused                   405  method_refused
├── WrongState                      409  wrong_state
│   ├── StillRunning                409  still_running
│   ├── AlreadyFinished             409  already_finished
│   ├── Cancelled                   409  cancelled
│   ├── ModelUnavailable            409  model_unavailable
│   └── ModelUnfit                  409  model_unfit
├── Expired                         410  expired
├── QueueFull                       429  queue_full
├── NotReady                        503  not_ready
├── Stopping                        503  stopping
├── StorageFailed                   507  storage_failed
├── BuiltinModelFailed              503  builtin_model_failed
├── DownloadFailed                  503  download_failed
│   ├── DownloadDenied              503  download_denied
│   ├── DownloadDamaged             503  download_damaged
│   ├── ModelNotFound               503  model_not_found
│   └── ModelUnusable               503  model_unusable
├── InstallFailed                   503  install_failed
└── WorkerFailed                    503  worker_failed
    ├── WorkerStartFailed           503  worker_start_failed
    ├── WorkerCrashed               503  worker_crashed
    ├── WorkerTimeout               503  worker_timeout
    ├── OutOfMemory                 503  out_of_memory
    └── WorkerReplaced              503  requested
"""

from collections.abc import Iterator


class BgremoveError(Exception):
    """Something went wrong inside the service."""

    status = 500
    code = "internal_error"

    def __init_subclass__(cls, *, code: str, status: int | None = None) -> None:
        """Give a kind of error its code and, unless it has its parent's, its HTTP status."""
        cls.code = code
        cls.status = status or cls.status

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


class BadInput(BgremoveError, code="invalid_request", status=422):
    """The request cannot be understood."""


class MalformedRequest(BadInput, code="malformed_request", status=400):
    """The request's body cannot be read."""


class InvalidOption(BadInput, code="invalid_option"):
    """An option has a value that is not allowed."""


class ResultTooLarge(BadInput, code="result_too_large"):
    """The result is larger than its format can hold."""


class UnknownModel(BadInput, code="unknown_model"):
    """There is no model by that name."""


class ModelNotServed(BadInput, code="model_not_served", status=400):
    """This service has no model like that one."""


class NotAnImage(BadInput, code="not_an_image", status=415):
    """The file is not an image of a known format."""


class DamagedImage(BadInput, code="damaged_image"):
    """The image is damaged or cut short."""


class TooManyPixels(BadInput, code="too_many_pixels", status=413):
    """The image has more pixels than this service accepts."""


class UploadTooLarge(BadInput, code="upload_too_large", status=413):
    """The file is larger than this service accepts."""


class UploadStalled(BadInput, code="upload_stalled", status=408):
    """The request's body stopped coming in."""


class UrlRefused(BadInput, code="url_refused", status=400):
    """This service does not fetch from that address."""


class UrlFailed(BadInput, code="url_failed", status=400):
    """The image could not be fetched from its address."""


class AccessDenied(BgremoveError, code="access_denied", status=403):
    """This request is not allowed."""


class Unauthorized(AccessDenied, code="unauthorized", status=401):
    """This service wants its token: send it as 'Authorization: Bearer' or 'X-API-Key'."""


class HostRefused(AccessDenied, code="host_refused"):
    """This service does not answer under that host name."""


class OriginRefused(AccessDenied, code="origin_refused"):
    """Pages of that origin may not change anything here."""


class LocalOnly(AccessDenied, code="local_only"):
    """Packages are installed only for clients on this machine itself, or for those with its token."""


class NotFound(BgremoveError, code="not_found", status=404):
    """There is nothing by that name."""


class MethodRefused(BgremoveError, code="method_refused", status=405):
    """That address does not take requests by this method."""


class WrongState(BgremoveError, code="wrong_state", status=409):
    """That cannot be done now."""


class StillRunning(WrongState, code="still_running"):
    """The task has not finished yet."""


class AlreadyFinished(WrongState, code="already_finished"):
    """The task has already finished."""


class Cancelled(WrongState, code="cancelled"):
    """The task was cancelled."""


class ModelUnavailable(WrongState, code="model_unavailable"):
    """The model is not on this machine yet: download it first."""


class ModelUnfit(WrongState, code="model_unfit"):
    """The model's files do not fit any network that this service knows."""


class Expired(BgremoveError, code="expired", status=410):
    """It has expired and was deleted."""


class QueueFull(BgremoveError, code="queue_full", status=429):
    """The queue is full; try again shortly."""


class NotReady(BgremoveError, code="not_ready", status=503):
    """A removal would not be accepted now."""


class Stopping(BgremoveError, code="stopping", status=503):
    """The service is shutting down."""


class StorageFailed(BgremoveError, code="storage_failed", status=507):
    """The result could not be stored."""


class BuiltinModelFailed(BgremoveError, code="builtin_model_failed", status=503):
    """The built-in model could not be fetched."""


class DownloadFailed(BgremoveError, code="download_failed", status=503):
    """The model could not be downloaded."""


class DownloadDenied(DownloadFailed, code="download_denied"):
    """The hub does not give this model without a token that may read it: set HF_TOKEN."""


class DownloadDamaged(DownloadFailed, code="download_damaged"):
    """A file of the model is damaged and was not kept."""


class ModelNotFound(DownloadFailed, code="model_not_found"):
    """The hub has no such model."""


class ModelUnusable(DownloadFailed, code="model_unusable"):
    """The model has no *.safetensors file, the only weights that this service reads."""


class InstallFailed(BgremoveError, code="install_failed", status=503):
    """The packages could not be installed."""


class WorkerFailed(BgremoveError, code="worker_failed", status=503):
    """The worker process failed."""


class WorkerStartFailed(WorkerFailed, code="worker_start_failed"):
    """The worker process could not start."""


class WorkerCrashed(WorkerFailed, code="worker_crashed"):
    """The worker process ended unexpectedly."""


class WorkerTimeout(WorkerFailed, code="worker_timeout"):
    """The worker process took too long and was ended."""


class OutOfMemory(WorkerFailed, code="out_of_memory"):
    """There was not enough memory for this image."""


class WorkerReplaced(WorkerFailed, code="requested"):
    """The worker process was ended on request."""


def _tree(root: type[BgremoveError]) -> Iterator[type[BgremoveError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def error_from(code: str, detail: str) -> BgremoveError:
    """Rebuild the error that crossed a process boundary, or outlived its raise, as code and sentence."""
    kinds = {kind.code: kind for kind in _tree(BgremoveError)}
    return kinds.get(code, BgremoveError)(detail)
