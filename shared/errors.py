"""Every error a client can meet, in one tree. A class's docstring is its default sentence.

BgremoveError                       500  internal_error
├── BadInput                        422  invalid_request
│   ├── InvalidOption               422  invalid_option
│   ├── UnknownModel                422  unknown_model
│   ├── NotAnImage                  415  not_an_image
│   ├── DamagedImage                422  damaged_image
│   ├── TooManyPixels               413  too_many_pixels
│   ├── UploadTooLarge              413  upload_too_large
│   ├── UrlRefused                  400  url_refused
│   └── UrlFailed                   400  url_failed
├── AccessDenied                    403  access_denied
│   ├── Unauthorized                401  unauthorized
│   ├── HostRefused                 403  host_refused
│   ├── OriginRefused               403  origin_refused
│   └── LocalOnly                   403  local_only
├── NotFound                        404  not_found
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
├── InstallFailed               503  install_failed
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

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


class BadInput(BgremoveError):
    """The request cannot be understood."""

    status = 422
    code = "invalid_request"


class InvalidOption(BadInput):
    """An option has a value that is not allowed."""

    code = "invalid_option"


class UnknownModel(BadInput):
    """There is no model by that name."""

    code = "unknown_model"


class NotAnImage(BadInput):
    """The file is not an image of a known format."""

    status = 415
    code = "not_an_image"


class DamagedImage(BadInput):
    """The image is damaged or cut short."""

    code = "damaged_image"


class TooManyPixels(BadInput):
    """The image has more pixels than this service accepts."""

    status = 413
    code = "too_many_pixels"


class UploadTooLarge(BadInput):
    """The file is larger than this service accepts."""

    status = 413
    code = "upload_too_large"


class UrlRefused(BadInput):
    """This service does not fetch from that address."""

    status = 400
    code = "url_refused"


class UrlFailed(BadInput):
    """The image could not be fetched from its address."""

    status = 400
    code = "url_failed"


class AccessDenied(BgremoveError):
    """This request is not allowed."""

    status = 403
    code = "access_denied"


class Unauthorized(AccessDenied):
    """This service wants its token: send it as 'Authorization: Bearer' or 'X-API-Key'."""

    status = 401
    code = "unauthorized"


class HostRefused(AccessDenied):
    """This service does not answer under that host name."""

    code = "host_refused"


class OriginRefused(AccessDenied):
    """Pages of that origin may not change anything here."""

    code = "origin_refused"


class LocalOnly(AccessDenied):
    """Packages are installed only for clients on this machine itself, or for those with its token."""

    code = "local_only"


class NotFound(BgremoveError):
    """There is nothing by that name."""

    status = 404
    code = "not_found"


class WrongState(BgremoveError):
    """That cannot be done now."""

    status = 409
    code = "wrong_state"


class StillRunning(WrongState):
    """The task has not finished yet."""

    code = "still_running"


class AlreadyFinished(WrongState):
    """The task has already finished."""

    code = "already_finished"


class Cancelled(WrongState):
    """The task was cancelled."""

    code = "cancelled"


class ModelUnavailable(WrongState):
    """The model is not available."""

    code = "model_unavailable"


class ModelUnfit(WrongState):
    """The model's files do not fit any network that this service knows."""

    code = "model_unfit"


class Expired(BgremoveError):
    """The result has expired and was deleted."""

    status = 410
    code = "expired"


class QueueFull(BgremoveError):
    """The queue is full; try again shortly."""

    status = 429
    code = "queue_full"


class NotReady(BgremoveError):
    """A removal would not be accepted now."""

    status = 503
    code = "not_ready"


class Stopping(BgremoveError):
    """The service is shutting down."""

    status = 503
    code = "stopping"


class StorageFailed(BgremoveError):
    """The result could not be stored."""

    status = 507
    code = "storage_failed"


class BuiltinModelFailed(BgremoveError):
    """The built-in model could not be fetched."""

    status = 503
    code = "builtin_model_failed"


class DownloadFailed(BgremoveError):
    """The model could not be downloaded."""

    status = 503
    code = "download_failed"


class DownloadDenied(DownloadFailed):
    """The hub does not give this model without a token that may read it: set HF_TOKEN."""

    code = "download_denied"


class DownloadDamaged(DownloadFailed):
    """A file of the model is damaged and was not kept."""

    code = "download_damaged"


class ModelNotFound(DownloadFailed):
    """The hub has no such model."""

    code = "model_not_found"


class ModelUnusable(DownloadFailed):
    """The model has no *.safetensors file, the only weights that this service reads."""

    code = "model_unusable"


class InstallFailed(BgremoveError):
    """The packages could not be installed."""

    status = 503
    code = "install_failed"


class WorkerFailed(BgremoveError):
    """The worker process failed."""

    status = 503
    code = "worker_failed"


class WorkerStartFailed(WorkerFailed):
    """The worker process could not start."""

    code = "worker_start_failed"


class WorkerCrashed(WorkerFailed):
    """The worker process ended unexpectedly."""

    code = "worker_crashed"


class WorkerTimeout(WorkerFailed):
    """The worker process took too long and was ended."""

    code = "worker_timeout"


class OutOfMemory(WorkerFailed):
    """There was not enough memory for this image."""

    code = "out_of_memory"


class WorkerReplaced(WorkerFailed):
    """The worker process was ended on request."""

    code = "requested"


def _tree(root: type[BgremoveError]) -> Iterator[type[BgremoveError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def error_from(code: str, detail: str) -> BgremoveError:
    """Rebuild the error that crossed a process boundary, or outlived its raise, as code and sentence."""
    kinds = {kind.code: kind for kind in _tree(BgremoveError)}
    return kinds.get(code, BgremoveError)(detail)
