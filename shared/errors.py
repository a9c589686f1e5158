"""Exception hierarchy: HTTP status, error code and default message of every error that clients receive.

BgremoveError                       500  internal_error
├── BadInput                        422  invalid_request
│   ├── MalformedRequest            400  malformed_request
│   ├── InvalidOption               422  invalid_option
│   ├── RoiExceedsBounds            422  roi_exceeds_bounds
│   ├── MaskSizeMismatch            422  mask_size_mismatch
│   ├── RoiRegionEmpty              422  roi_region_empty
│   ├── IdempotencyKeyReused        422  idempotency_key_reused
│   ├── ResultTooLarge              422  result_too_large
│   ├── UnknownModel                422  unknown_model
│   ├── ModelNotServed              400  model_not_served
│   ├── NotAnImage                  415  not_an_image
│   ├── EncodingRefused             415  encoding_refused
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
├── Overloaded                      503  overloaded
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
    ├── WorkerDied                  503  worker_died
    ├── OutOfMemory                 503  out_of_memory
    └── WorkerReplaced              503  requested
"""

_BY_CODE: dict[str, type["BgremoveError"]] = {}


class BgremoveError(Exception):
    """Base of all errors that cross a process boundary or reach a client: HTTP status, code and message."""

    status = 500
    code = "internal_error"
    default_detail = "An internal error occurred; the service's log has the details."

    def __init_subclass__(cls, *, code: str, status: int | None = None) -> None:
        """Set the class's code and its HTTP status, by default its parent's."""
        cls.code = code
        cls.status = status or cls.status
        _BY_CODE[code] = cls

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.default_detail
        super().__init__(self.detail)


class BadInput(BgremoveError, code="invalid_request", status=422):
    default_detail = "The request is not valid."


class MalformedRequest(BadInput, code="malformed_request", status=400):
    default_detail = "The request's body cannot be parsed."


class InvalidOption(BadInput, code="invalid_option"):
    default_detail = "The value of an option is not allowed."


class RoiExceedsBounds(BadInput, code="roi_exceeds_bounds"):
    default_detail = "The region of interest ('roi') reaches beyond the image."


class MaskSizeMismatch(BadInput, code="mask_size_mismatch"):
    default_detail = "The mask does not have the photo's aspect ratio."


class RoiRegionEmpty(BadInput, code="roi_region_empty"):
    default_detail = "The region of interest ('roi') is empty: write left top right bottom."


class IdempotencyKeyReused(BadInput, code="idempotency_key_reused"):
    default_detail = "The Idempotency-Key was sent before with another image or other options: use a new one."


class ResultTooLarge(BadInput, code="result_too_large"):
    default_detail = "The result is larger than its format can hold: choose png, or set 'max_size'."


class UnknownModel(BadInput, code="unknown_model"):
    default_detail = "There is no model of that name: check BGREMOVE_MODEL."


class ModelNotServed(BadInput, code="model_not_served", status=400):
    default_detail = "This service does not serve that model."


class NotAnImage(BadInput, code="not_an_image", status=415):
    default_detail = (
        "The file is not an image that this service reads: PNG, JPEG, WebP, AVIF, HEIC, GIF, TIFF, BMP."
    )


class EncodingRefused(BadInput, code="encoding_refused", status=415):
    default_detail = "Compressed request bodies are not read: send it without Content-Encoding."


class DamagedImage(BadInput, code="damaged_image"):
    default_detail = "The image is damaged or cut short."


class TooManyPixels(BadInput, code="too_many_pixels", status=413):
    default_detail = "The image has more pixels than BGREMOVE_MAX_PIXELS allows: send a smaller one."


class UploadTooLarge(BadInput, code="upload_too_large", status=413):
    default_detail = "The file is larger than BGREMOVE_MAX_UPLOAD_BYTES allows: send a smaller one."


class UploadStalled(BadInput, code="upload_stalled", status=408):
    default_detail = "The upload stalled: no data arrived for too long. Send it again."


class UrlRefused(BadInput, code="url_refused", status=400):
    default_detail = "This service does not fetch images from that URL."


class UrlFailed(BadInput, code="url_failed", status=400):
    default_detail = "The image could not be fetched from its URL: check it, or upload the image."


class AccessDenied(BgremoveError, code="access_denied", status=403):
    default_detail = "This request is not allowed."


class Unauthorized(AccessDenied, code="unauthorized", status=401):
    default_detail = "Authentication required: send the token as 'Authorization: Bearer' or 'X-API-Key'."


class HostRefused(AccessDenied, code="host_refused"):
    default_detail = "This host name is not allowed: add it to BGREMOVE_ALLOWED_HOSTS."


class OriginRefused(AccessDenied, code="origin_refused"):
    default_detail = "Requests from this origin are not allowed: add it to BGREMOVE_ALLOWED_ORIGINS."


class LocalOnly(AccessDenied, code="local_only"):
    default_detail = "Only clients on this machine can install packages, unless BGREMOVE_TOKEN is set."


class NotFound(BgremoveError, code="not_found", status=404):
    default_detail = "Nothing was found at this URL."


class MethodRefused(BgremoveError, code="method_refused", status=405):
    default_detail = "The request method is not allowed at this URL."


class WrongState(BgremoveError, code="wrong_state", status=409):
    default_detail = "This is not possible in the current state."


class StillRunning(WrongState, code="still_running"):
    default_detail = "The task has not finished yet: wait for its end."


class AlreadyFinished(WrongState, code="already_finished"):
    default_detail = "The task has already finished."


class Cancelled(WrongState, code="cancelled"):
    default_detail = "The task was cancelled."


class ModelUnavailable(WrongState, code="model_unavailable"):
    default_detail = "The model is not on this machine: download it first."


class ModelUnfit(WrongState, code="model_unfit"):
    default_detail = "The model's files do not match any network architecture that this service supports."


class Expired(BgremoveError, code="expired", status=410):
    default_detail = "This file or task has expired and was deleted."


class QueueFull(BgremoveError, code="queue_full", status=429):
    default_detail = "The queue is full; try again shortly."


class NotReady(BgremoveError, code="not_ready", status=503):
    default_detail = "The service cannot accept removals now; try again shortly."


class Overloaded(BgremoveError, code="overloaded", status=503):
    default_detail = "The service is out of threads or descriptors; try again shortly."


class Stopping(BgremoveError, code="stopping", status=503):
    default_detail = "The service is shutting down; try again after its restart."


class StorageFailed(BgremoveError, code="storage_failed", status=507):
    default_detail = (
        "The result could not be stored: check the free space of BGREMOVE_SPOOL_DIR and BGREMOVE_TEMP_DIR."
    )


class BuiltinModelFailed(BgremoveError, code="builtin_model_failed", status=503):
    default_detail = "The built-in model could not be fetched."


class DownloadFailed(BgremoveError, code="download_failed", status=503):
    default_detail = "The model could not be downloaded: check the network connection and try again."


class DownloadDenied(DownloadFailed, code="download_denied"):
    default_detail = "The hub requires a token for this model: set HF_TOKEN to one that may read it."


class DownloadDamaged(DownloadFailed, code="download_damaged"):
    default_detail = "A file of the model was damaged and has been deleted: download it again."


class ModelNotFound(DownloadFailed, code="model_not_found"):
    default_detail = "The hub has no such model: check BGREMOVE_MODEL and BGREMOVE_REVISION."


class ModelUnusable(DownloadFailed, code="model_unusable"):
    default_detail = "The model has no *.safetensors file, the only weight format that this service reads."


class InstallFailed(BgremoveError, code="install_failed", status=503):
    default_detail = "The packages could not be installed; the task's log has the details."


class WorkerFailed(BgremoveError, code="worker_failed", status=503):
    default_detail = "The worker process failed; the service's log has the details."


class WorkerStartFailed(WorkerFailed, code="worker_start_failed"):
    default_detail = "The worker process could not start; the service's log has the details."


class WorkerCrashed(WorkerFailed, code="worker_crashed"):
    default_detail = "The worker process crashed; the service's log has the details."


class WorkerTimeout(WorkerFailed, code="worker_timeout"):
    default_detail = "The worker process timed out and was stopped; see the BGREMOVE_…_TIMEOUT_S settings."


class WorkerDied(WorkerFailed, code="worker_died"):
    default_detail = "The worker process, or the whole service, ended twice while it worked on this image."


class OutOfMemory(WorkerFailed, code="out_of_memory"):
    default_detail = "There was not enough memory for this image: send a smaller one."


class WorkerReplaced(WorkerFailed, code="requested"):
    default_detail = "The worker process was stopped on request."


def error_from(code: str, detail: str) -> BgremoveError:
    """Rebuild an error from its code and message, after it crossed a process boundary or was stored."""
    return _BY_CODE.get(code, BgremoveError)(detail)
