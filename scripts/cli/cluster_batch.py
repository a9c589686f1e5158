"""`remove --cluster`: an offline batch, whose files the nodes of a Ray cluster read and write themselves."""

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bootstrap
from cli.batch_report import RESULT_FIELDS
from cli.command_errors import EXIT_FAILED, CommandFailed, Terminated, usage_error
from cli.option_flags import Options, read_option_files, read_options, use_flag_names
from cli.outputs import Naming
from cli.progress_line import LINE_INTERVAL_S, Progress, replace_controls
from shared.errors import BgremoveError, InvalidOption
from shared.messages import Finished, RemovalJob, WorkerConfig
from shared.option_validation import validate_options
from shared.options import RemovalOptions
from shared.presets import Preset

if TYPE_CHECKING:
    from cli.cluster_files import Photo
    from worker.cluster.offline import FileJob, FileOutcome

NAMESPACE = "bgremove"


class ClusterReport:
    """Counts and reports the files of a batch, of which there may be millions, and keeps no names."""

    def __init__(self, progress: Progress, *, as_json: bool) -> None:
        self._written = self._failed = self._skipped = 0
        self._progress = progress
        self._output = sys.stdout if as_json else None
        self._started_s = time.monotonic()
        self._shown_s = 0.0

    def add(self, outcome: "FileOutcome") -> None:
        """Report the end of one file."""
        job, event = outcome.job, outcome.event
        if isinstance(event, Finished):
            self._written += 1
            fields = {name: getattr(event.result, name) for name in RESULT_FIELDS}
            fields["timings_ms"] = {step: round(ms, 1) for step, ms in event.result.timings_ms.items()}
            fields |= {"warnings": list(event.result.warnings), "seconds": round(outcome.seconds, 3)}
            self._emit({"input": job.source, "output": job.target, **fields})
            for warning in event.result.warnings:
                self._note(f"{job.source}: {warning}")
        else:
            self._failed += 1
            error = {"code": getattr(event, "code", ""), "detail": getattr(event, "detail", "")}
            self._emit({"error": error, "input": job.source})
            self._note(f"failed: {job.source}: {error['detail']}")
        now_s = time.monotonic()
        if self._progress.terminal or now_s >= self._shown_s + LINE_INTERVAL_S:
            self._shown_s = now_s
            self._progress.show(0, f"{self._count_done()}, {self._rate():.1f} photos/s")

    def add_up_to_date(self, photo: "Photo") -> None:
        """Report a photo whose result is up to date; as text only the summary counts it."""
        self._skipped += 1
        self._emit({"input": photo.source, "output": photo.target, "skipped": True})

    @property
    def count(self) -> int:
        """How many photos were processed or skipped."""
        return self._written + self._failed + self._skipped

    def summarise(self) -> int:
        """Print the counts, and return the exit code."""
        seconds = time.monotonic() - self._started_s
        self._progress.clear()
        bootstrap.print_message(f"{self._count_done()}, in {seconds:.1f} s, {self._rate():.1f} photos/s")
        return EXIT_FAILED if self._failed else 0

    def _count_done(self) -> str:
        parts = [f"wrote {self._written}"]
        if self._skipped:
            parts.append(f"skipped {self._skipped} up to date (--overwrite processes them again)")
        if self._failed:
            parts.append(f"{self._failed} failed")
        return ", ".join(parts)

    def _rate(self) -> float:
        return (self._written + self._failed) / max(time.monotonic() - self._started_s, 0.001)

    def _emit(self, record: dict[str, Any]) -> None:
        if self._output:  # one write: two threads report
            print(f"{json.dumps(record)}\n", end="", file=self._output, flush=True)

    def _note(self, line: str) -> None:
        if not self._output:
            self._progress.clear()
            bootstrap.print_message(replace_controls(line))


def run_on_cluster(arguments: argparse.Namespace, preset: Preset) -> int:
    """Remove the backgrounds of a folder's photos, on the cluster, and return the exit code."""
    if arguments.out_dir is None or arguments.out or arguments.watch or arguments.server:
        raise usage_error("--cluster needs --out-dir, and excludes -o, --watch and --server")
    if len(arguments.images) != 1:
        raise usage_error("--cluster takes one folder or file, for the nodes to read: name the folder")
    options, files = read_options(arguments, preset), read_option_files(arguments)
    removal = _to_removal_options(options, has_background_file=bool(files))
    naming = Naming(options, None, arguments.suffix)
    python = bootstrap.ensure(bootstrap.SUPERVISOR, bootstrap.BUILTIN_MODEL, bootstrap.CLUSTER)
    bootstrap.reexec(python)
    progress = Progress(quiet=arguments.json)
    report = ClusterReport(progress, as_json=arguments.json)
    try:
        jobs = _iterate_jobs(arguments, naming, report)
        first = next(jobs, None)
        if first is not None:  # else no actor has to load the model
            background = next((path.read_bytes() for path in files.values()), None)
            jobs = itertools.chain([first], jobs)
            with contextlib.redirect_stdout(sys.stderr):  # Ray prints there when actors die
                asyncio.run(_run(arguments.cluster, removal, background, jobs, progress, report))
    except (CommandFailed, KeyboardInterrupt, Terminated):
        if report.count:
            report.summarise()
        raise
    finally:
        progress.clear()
    return report.summarise()


async def _run(
    address: str,
    removal: RemovalOptions,
    background: bytes | None,
    jobs: "Iterator[FileJob]",
    progress: Progress,
    report: ClusterReport,
) -> None:
    # Imported here: only .venv's Python has their packages.
    import ray  # noqa: PLC0415

    from worker.cluster.bridge_main import check_reachable  # noqa: PLC0415
    from worker.cluster.nodes import ClusterNodes  # noqa: PLC0415
    from worker.cluster.offline import NoActors, OfflineBatch, ignore_change  # noqa: PLC0415

    progress.show(0, "Joining the cluster")
    os.environ |= {"BGREMOVE_CLUSTER": address, "BGREMOVE_DEVICE": "none", "RAY_USAGE_STATS_ENABLED": "0"}
    config = await _make_config(removal.model, progress)
    try:
        check_reachable(address)
        with contextlib.chdir(os.sep):  # which Ray puts before the nodes' PYTHONPATH
            ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise CommandFailed(f"the cluster {address} cannot be joined: {error}", "unreachable") from error
    if config.cluster is None:
        raise ValueError("there is no cluster in the configuration")
    nodes = ClusterNodes(config, config.cluster, ignore_change)
    watching = asyncio.create_task(nodes.watch())
    stored = None if background is None else ray.put(background)
    batch = OfflineBatch(nodes, RemovalJob("", "", "", removal), config.cluster.job_timeout_s, stored)
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
    arguments: argparse.Namespace, naming: Naming, report: ClusterReport
) -> "Iterator[FileJob]":
    """Yield a job for each photo, as they are listed; report those whose result is up to date.

    Raises a usage error if there is no photo.
    """
    # Imported here: only .venv's Python has their packages.
    from cli.cluster_files import PhotoFolder  # noqa: PLC0415
    from supervisor.jobs.filenames import name_stem, sanitize_name  # noqa: PLC0415
    from worker.cluster.offline import FileJob  # noqa: PLC0415

    (source,) = arguments.images
    try:
        photos = PhotoFolder(source, str(arguments.out_dir), naming)
    except (ImportError, OSError, ValueError) as error:  # fsspec's, such as for a missing package
        raise usage_error(f"{source}: {error}") from error
    found = False
    for photo in photos.iterate_photos(recursive=arguments.recursive):
        found = True
        if not arguments.overwrite and photo.up_to_date:
            report.add_up_to_date(photo)
        else:
            yield FileJob(photo.source, photo.target, name_stem(sanitize_name(photo.name)))
    if not found:
        hint = "" if arguments.recursive else "; use --recursive to include subfolders"
        raise usage_error(f"there is no image in {source}{hint}")


def _to_removal_options(options: Options, *, has_background_file: bool) -> RemovalOptions:
    try:
        removal = RemovalOptions(**options)  # type: ignore[arg-type]  # validated next
        validate_options(removal, has_background_file=has_background_file)
    except InvalidOption as error:
        raise usage_error(use_flag_names(error.detail)) from error
    return removal
