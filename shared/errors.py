"""Every error a client can meet, in one tree. `default_detail` is the sentence that clients read.

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
    """Base of all errors that cross a process boundary or reach a client: HTTP status, code and sentence."""

    status = 500
    code = "internal_error"
    default_detail = "Something went wrong inside the service."

    def __init_subclass__(cls, *, code: str, status: int | None = None) -> None:
        """Give a kind of error its code and, unless it has its parent's, its HTTP status."""
        cls.code = code
        cls.status = status or cls.status

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.default_detail
        super().__init__(self.detail)


class BadInput(BgremoveError, code="invalid_request", status=422):
    default_detail = "The request cannot be understood."


class MalformedRequest(BadInput, code="malformed_request", status=400):
    default_detail = "The request's body cannot be read."


class InvalidOption(BadInput, code="invalid_option"):
    default_detail = "An option has a value that is not allowed."


class ResultTooLarge(BadInput, code="result_too_large"):
    default_detail = "The result is larger than its format can hold."


class UnknownModel(BadInput, code="unknown_model"):
    default_detail = "There is no model by that name."


class ModelNotServed(BadInput, code="model_not_served", status=400):
    default_detail = "This service has no model like that one."


class NotAnImage(BadInput, code="not_an_image", status=415):
    default_detail = "The file is not an image of a known format."


class DamagedImage(BadInput, code="damaged_image"):
    default_detail = "The image is damaged or cut short."


class TooManyPixels(BadInput, code="too_many_pixels", status=413):
    default_detail = "The image has more pixels than this service accepts."


class UploadTooLarge(BadInput, code="upload_too_large", status=413):
    default_detail = "The file is larger than this service accepts."


class UploadStalled(BadInput, code="upload_stalled", status=408):
    default_detail = "The request's body stopped coming in."


class UrlRefused(BadInput, code="url_refused", status=400):
    default_detail = "This service does not fetch from that address."


class UrlFailed(BadInput, code="url_failed", status=400):
    default_detail = "The image could not be fetched from its address."


class AccessDenied(BgremoveError, code="access_denied", status=403):
    default_detail = "This request is not allowed."


class Unauthorized(AccessDenied, code="unauthorized", status=401):
    default_detail = "This service wants its token: send it as 'Authorization: Bearer' or 'X-API-Key'."


class HostRefused(AccessDenied, code="host_refused"):
    default_detail = "This service does not answer under that host name."


class OriginRefused(AccessDenied, code="origin_refused"):
    default_detail = "Pages of that origin may not change anything here."


class LocalOnly(AccessDenied, code="local_only"):
    default_detail = (
        "Packages are installed only for clients on this machine itself, or for those with its token."
    )


class NotFound(BgremoveError, code="not_found", status=404):
    default_detail = "There is nothing by that name."


class MethodRefused(BgremoveError, code="method_refused", status=405):
    default_detail = "That address does not take requests by this method."


class WrongState(BgremoveError, code="wrong_state", status=409):
    default_detail = "That cannot be done now."


class StillRunning(WrongState, code="still_running"):
    default_detail = "The task has not finished yet."


class AlreadyFinished(WrongState, code="already_finished"):
    default_detail = "The task has already finished."


class Cancelled(WrongState, code="cancelled"):
    default_detail = "The task was cancelled."


class ModelUnavailable(WrongState, code="model_unavailable"):
    default_detail = "The model is not on this machine yet: download it first."


class ModelUnfit(WrongState, code="model_unfit"):
    default_detail = "The model's files do not fit any network that this service knows."


class Expired(BgremoveError, code="expired", status=410):
    default_detail = "It has expired and was deleted."


class QueueFull(BgremoveError, code="queue_full", status=429):
    default_detail = "The queue is full; try again shortly."


class NotReady(BgremoveError, code="not_ready", status=503):
    default_detail = "A removal would not be accepted now."


class Stopping(BgremoveError, code="stopping", status=503):
    default_detail = "The service is shutting down."


class StorageFailed(BgremoveError, code="storage_failed", status=507):
    default_detail = "The result could not be stored."


class BuiltinModelFailed(BgremoveError, code="builtin_model_failed", status=503):
    default_detail = "The built-in model could not be fetched."


class DownloadFailed(BgremoveError, code="download_failed", status=503):
    default_detail = "The model could not be downloaded."


class DownloadDenied(DownloadFailed, code="download_denied"):
    default_detail = "The hub does not give this model without a token that may read it: set HF_TOKEN."


class DownloadDamaged(DownloadFailed, code="download_damaged"):
    default_detail = "A file of the model is damaged and was not kept."


class ModelNotFound(DownloadFailed, code="model_not_found"):
    default_detail = "The hub has no such model."


class ModelUnusable(DownloadFailed, code="model_unusable"):
    default_detail = "The model has no *.safetensors file, the only weights that this service reads."


class InstallFailed(BgremoveError, code="install_failed", status=503):
    default_detail = "The packages could not be installed."


class WorkerFailed(BgremoveError, code="worker_failed", status=503):
    default_detail = "The worker process failed."


class WorkerStartFailed(WorkerFailed, code="worker_start_failed"):
    default_detail = "The worker process could not start."


class WorkerCrashed(WorkerFailed, code="worker_crashed"):
    default_detail = "The worker process ended unexpectedly."


class WorkerTimeout(WorkerFailed, code="worker_timeout"):
    default_detail = "The worker process took too long and was ended."


class OutOfMemory(WorkerFailed, code="out_of_memory"):
    default_detail = "There was not enough memory for this image."


class WorkerReplaced(WorkerFailed, code="requested"):
    default_detail = "The worker process was ended on request."


def _tree(root: type[BgremoveError]) -> Iterator[type[BgremoveError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def error_from(code: str, detail: str) -> BgremoveError:
    """Rebuild the error that crossed a process boundary, or outlived its raise, as code and sentence."""
    kinds = {kind.code: kind for kind in _tree(BgremoveError)}
    return kinds.get(code, BgremoveError)(detail)
