"""The whole protocol between the supervisor and its children: workers and downloads.

A worker generation has a command pipe and an event queue of its own, so a message never needs to say
which generation it belongs to; within one, the task id identifies the removal. Pixels never travel:
messages carry paths, and stay far below 4 KiB pickled, the size that a pipe takes in one piece. A
worker killed while it writes therefore leaves no half message behind.
"""

from dataclasses import dataclass
from typing import Literal

from shared.catalog import InputSize
from shared.onnx_models import OnnxNetwork
from shared.options import RemovalOptions

Loader = Literal["native", "transformers"]  # how BiRefNet may be loaded
WorkerLoader = Literal["onnx"] | Loader


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The cluster that a bridge joins: its address, "auto" or "host:port", and what an actor takes there.

    `data_dir` is the service's data folder: a node's own may be another one. `cpus_per_actor` is None for all
    of a node's. `job_timeout_s` is enforced by the bridge, for each actor alone.
    """

    address: str
    data_dir: str
    gpus_per_actor: float
    cpus_per_actor: float | None
    job_timeout_s: float


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The configuration of a worker process, passed at its start.

    `loader` says which engine to load, and `model_path` is a file or a folder, as that one wants it.
    `model_id` is the name that results carry. `device` and `dtype` are "auto" or a name; with `cpu_fallback`,
    a removal that the device has no memory for is tried on the CPU: all three are for PyTorch's engines.
    `threads` is how many of the CPU's cores may be used, None for all. `network` is an ONNX file's contract.
    With `cluster`, the process is the bridge to that.
    """

    loader: WorkerLoader
    model_path: str
    max_pixels: int
    model_id: str = ""
    device: str = "auto"
    dtype: str = "auto"
    input_size: InputSize = (1024, 1024)
    cpu_fallback: bool = False
    threads: int | None = None
    network: OnnxNetwork | None = None
    cluster: ClusterConfig | None = None


@dataclass(frozen=True, slots=True)
class RemovalJob:
    """One removal, as a worker gets it: the image's path, and the path to write the result to.

    `background_path` is the image to put behind the subject, if there is one. `mask_path` is the matte's
    image, where no model is to make one, and `alpha_path` where to keep the matte, if anywhere. `stem` is the
    image's file name without its extension, for the names of files within a zip. `alone`: it has killed a
    worker, and is to share none again.
    """

    task_id: str
    source_path: str
    result_path: str
    options: RemovalOptions
    background_path: str | None = None
    mask_path: str | None = None
    alpha_path: str | None = None
    stem: str = "image"
    alone: bool = False


@dataclass(frozen=True, slots=True)
class RemovalResult:
    """The result of a finished removal. Sizes are in pixels, times in milliseconds.

    `width`, `height` and `format` are the result's: of the pictures in it, and "zip", where it is an archive.
    `subject`: whether there is one, `coverage` the alpha's mean over the photo, 0 to 1; `box` is the
    subject's in the photo, upright: left, top, width, height. `frame` is the part of that photo that the
    result shows: all of it, unless it was cropped or has a canvas; it may reach beyond the photo's edges.
    `photo_width` and `photo_height` are the whole photo's, upright. `scale_factor` is how many of the
    result's pixels one of the photo's takes. `warnings` are sentences for people: what of the image was not
    used.
    """

    width: int
    height: int
    format: str
    model_id: str
    device: str
    timings_ms: dict[str, float]
    subject: bool
    coverage: float
    box: tuple[int, int, int, int] | None
    frame: tuple[int, int, int, int]
    scale_factor: float = 1.0
    photo_width: int = 0
    photo_height: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DownloadConfig:
    """The configuration of a download process: which model, and the folder of all downloaded models."""

    repo_id: str
    revision: str
    cache_root: str
    code: bool  # whether to fetch the repository's Python files as well


# Commands: supervisor to worker


@dataclass(frozen=True, slots=True)
class Remove:
    """Command to remove the background of one photo."""

    job: RemovalJob


@dataclass(frozen=True, slots=True)
class Cancel:
    """Command to stop a removal at its next step."""

    task_id: str


Command = Remove | Cancel


# Events: worker to supervisor


@dataclass(frozen=True, slots=True)
class Loading:
    """The model is being loaded; `percent` counts 0 to 100."""

    percent: float
    message: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The loaded model: its name, the device and dtype it computes with, and its capacity.

    `device` is "cuda", "mps" or "cpu".
    """

    model_id: str
    device: str
    dtype: str
    device_memory_bytes: int = 0  # on a GPU, in addition to the process's own memory
    max_concurrency: int = 1  # one removal is computed while others are decoded and encoded


@dataclass(frozen=True, slots=True)
class DeviceSelected:
    """The worker loads its model on the device of that name, such as "cuda:0".

    `others` are the machine's other ones of that kind; whether they work is not known yet. Comes before the
    load, which may fail there for lack of memory.
    """

    name: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and removals may be sent."""

    model: ModelInfo


NodeState = Literal["loading", "ready", "left_out", "lost"]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node of the cluster: `detail` is why it was left out, or is lost."""

    name: str
    state: NodeState
    detail: str = ""
    device: str = ""
    device_memory_bytes: int = 0
    jobs_done: int = 0


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """A node of the cluster has joined, left, or loaded the model."""

    node: NodeStatus


@dataclass(frozen=True, slots=True)
class Resized:
    """How many removals the bridge takes at the same time has changed with the cluster's nodes."""

    max_concurrency: int


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The model cannot be loaded; the worker ends after this."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A removal has reached a new step or percentage."""

    task_id: str
    percent: float
    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A removal is done and its result is complete at `result_path`."""

    task_id: str
    result: RemovalResult


@dataclass(frozen=True, slots=True)
class Failed:
    """A removal failed, with an error of `shared.errors`; the worker keeps running."""

    task_id: str
    code: str
    detail: str


# Events: download to supervisor


@dataclass(frozen=True, slots=True)
class Downloading:
    """The progress of a download; `percent` is the share of its bytes on disk, 0 to 100.

    Comes at least every few seconds, as a sign of life. A `transient` message is shown and not logged.
    """

    percent: float
    message: str
    transient: bool


@dataclass(frozen=True, slots=True)
class Downloaded:
    """Every file was downloaded and verified; the process ends after this."""


@dataclass(frozen=True, slots=True)
class NotDownloaded:
    """The download failed, with an error of `shared.errors`; the process ends after this."""

    code: str
    detail: str


Event = (
    Loading
    | DeviceSelected
    | Ready
    | NodeChanged
    | Resized
    | LoadFailed
    | Progress
    | Finished
    | Failed
    | Downloading
    | Downloaded
    | NotDownloaded
)
