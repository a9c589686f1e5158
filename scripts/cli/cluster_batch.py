"""`remove --cluster`: an offline batch, whose files the nodes of a Ray cluster read and write themselves."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bootstrap
from cli.command_errors import EXIT_FAILED, CommandFailed, usage_error
from cli.option_flags import Options, get_output_extension, get_output_kind, read_options
from cli.progress_line import Progress
from shared.errors import BgremoveError, InvalidOption
from shared.messages import Finished, RemovalJob, WorkerConfig
from shared.option_validation import validate_options
from shared.options import RemovalOptions
from shared.presets import Preset

if TYPE_CHECKING:
    from worker.cluster.offline import FileJob, FileOutcome

NAMESPACE = "bgremove"
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".gif", ".tif", ".tiff", ".bmp")


class ClusterReport:
    """Counts and reports the files of a batch, of which there may be millions."""

    def __init__(self, progress: Progress, *, as_json: bool) -> None:
        self.skipped = 0
        self._written = self._failed = 0
        self._progress = progress
        self._as_json = as_json
        self._started = time.monotonic()

    def add(self, outcome: "FileOutcome") -> None:
        """Report the end of one file."""
        job, event = outcome.job, outcome.event
        if isinstance(event, Finished):
            self._written += 1
            made = event.result
            facts = {"width": made.width, "height": made.height, "device": made.device}
            self._emit({"input": job.source, "output": job.target, **facts})
        else:
            self._failed += 1
            error = {"code": getattr(event, "code", ""), "detail": getattr(event, "detail", "")}
            self._emit({"error": error, "input": job.source})
            if not self._as_json:
                self._progress.clear()
                bootstrap.print_message(f"failed: {job.source}: {error['detail']}")
        done = self._written + self._failed
        rate = done / max(time.monotonic() - self._started, 0.001)
        self._progress.show(0, f"{done} done, {self._failed} failed, {rate:.1f} photos/s")

    def summarise(self) -> int:
        """Print the counts, and return the exit code."""
        self._progress.clear()
        seconds = time.monotonic() - self._started
        parts = [f"wrote {self._written}"]
        if self.skipped:
            parts.append(f"skipped {self.skipped} up to date (--overwrite processes them again)")
        if self._failed:
            parts.append(f"{self._failed} failed")
        rate = (self._written + self._failed) / max(seconds, 0.001)
        bootstrap.print_message(f"{', '.join(parts)}, in {seconds:.1f} s, {rate:.1f} photos/s")
        return EXIT_FAILED if self._failed else 0

    def _emit(self, record: dict[str, Any]) -> None:
        if self._as_json:
            print(json.dumps(record), flush=True)


def run_on_cluster(arguments: argparse.Namespace, preset: Preset) -> int:
    """Remove the backgrounds of all files below the inputs, on the cluster, and return the exit code."""
    if arguments.out_dir is None or arguments.out or arguments.watch or arguments.server:
        raise usage_error("--cluster needs --out-dir, and excludes -o, --watch and --server")
    options = read_options(arguments, preset)
    removal = _to_removal_options(options)
    python = bootstrap.ensure(bootstrap.SUPERVISOR, bootstrap.BUILTIN_MODEL, bootstrap.CLUSTER)
    bootstrap.reexec(python)
    os.environ |= {"BGREMOVE_CLUSTER": arguments.cluster, "BGREMOVE_DEVICE": "none"}
    progress = Progress(quiet=arguments.json)
    report = ClusterReport(progress, as_json=arguments.json)
    try:
        asyncio.run(_run(arguments, options, removal, progress, report))
    finally:
        progress.clear()
    return report.summarise()


async def _run(
    arguments: argparse.Namespace,
    options: Options,
    removal: RemovalOptions,
    progress: Progress,
    report: ClusterReport,
) -> None:
    # Imported here: only .venv's Python has their packages.
    import ray  # noqa: PLC0415

    from worker.cluster.bridge_main import check_reachable  # noqa: PLC0415
    from worker.cluster.nodes import ClusterNodes  # noqa: PLC0415
    from worker.cluster.offline import NoActors, OfflineBatch, ignore_change  # noqa: PLC0415

    progress.show(0, "Joining the cluster")
    config = await _make_config(removal.model, progress)
    try:
        check_reachable(arguments.cluster)
        with contextlib.chdir(os.sep):  # which Ray puts before the nodes' PYTHONPATH
            ray.init(arguments.cluster, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise CommandFailed(
            f"the cluster {arguments.cluster} cannot be joined: {error}", "unreachable"
        ) from error
    if config.cluster is None:
        raise ValueError("there is no cluster in the configuration")
    nodes = ClusterNodes(config, config.cluster, ignore_change)
    watching = asyncio.create_task(nodes.watch())
    jobs = _iterate_jobs(arguments, options, report)
    batch = OfflineBatch(nodes, RemovalJob("", "", "", removal))
    try:
        async for outcome in batch.run(jobs):
            report.add(outcome)
    except NoActors as error:
        raise CommandFailed(f"no node of the cluster can work: {error}", "no_actors") from error
    finally:
        watching.cancel()
        ray.shutdown()


async def _make_config(model_name: str, progress: Progress) -> WorkerConfig:
    """Return the configuration of the actors, for a model that is downloaded here if need be."""
    from supervisor.models.registry import Models  # noqa: PLC0415
    from supervisor.models.worker_specs import WorkerSpecs  # noqa: PLC0415
    from supervisor.settings import BadSettings, load_settings  # noqa: PLC0415
    from supervisor.tasks.task_store import TaskStore  # noqa: PLC0415
    from supervisor.workers.device import CLUSTER  # noqa: PLC0415

    try:
        settings = load_settings([])
        models = Models(settings, TaskStore(settings.retention_s), Path(tempfile.gettempdir()))
        model = await models.look_up(model_name)
        await model.fetch_files(progress.show)
        return (await WorkerSpecs(settings).prepare(model.files, CLUSTER)).config
    except BadSettings as error:
        raise usage_error(str(error)) from error
    except BgremoveError as error:
        raise CommandFailed(error.detail, error.code) from error


def _iterate_jobs(
    arguments: argparse.Namespace, options: Options, report: ClusterReport
) -> "Iterator[FileJob]":
    """Yield a job for each image below the inputs, as they are listed; count those that are done already."""
    import fsspec  # noqa: PLC0415

    from worker.cluster.offline import FileJob  # noqa: PLC0415

    out_system, out_root = fsspec.core.url_to_fs(_to_url(str(arguments.out_dir)))
    suffix = arguments.suffix or f"-{get_output_kind(options)}"
    for source_root in map(_to_url, arguments.images):
        system, root = fsspec.core.url_to_fs(source_root)
        for path in _iterate_files(system, root):
            relative = path.removeprefix(root).lstrip("/") or path.rpartition("/")[2]
            stem = relative.rpartition(".")[0]
            target = f"{out_root}/{stem}{suffix}{get_output_extension(options)}"
            if not arguments.overwrite and out_system.exists(target):
                report.skipped += 1
            else:
                yield FileJob(system.unstrip_protocol(path), out_system.unstrip_protocol(target))


def _iterate_files(system: Any, root: str) -> Iterator[str]:  # noqa: ANN401  # fsspec has no types
    if not system.isdir(root):
        yield root
        return
    for folder, _, names in system.walk(root):
        yield from (f"{folder}/{name}" for name in sorted(names) if name.lower().endswith(IMAGE_ENDINGS))


def _to_url(path: str) -> str:
    """Return a URL as it is, and a path made absolute: the nodes have other working folders."""
    return path if "://" in path else str(Path(path).absolute())


def _to_removal_options(options: Options) -> RemovalOptions:
    try:
        removal = RemovalOptions(**options)  # type: ignore[arg-type]  # validated next
        validate_options(removal)
    except InvalidOption as error:
        raise usage_error(error.detail) from error
    return removal
