"""Subcommand `remove`: removes backgrounds, with a server started for the run or one that runs already."""

import argparse
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import bootstrap
from cli.batch import run_batch
from cli.batch_plan import Plan, make_plan
from cli.batch_report import Report
from cli.cluster_batch import run_on_cluster
from cli.command_errors import CommandFailed, Terminated, usage_error
from cli.connect import Service, add_server_flags, connect, ensure_environment, read_token, start_service
from cli.inputs import describe_unread
from cli.model_names import check_model_name
from cli.option_flags import add_options, use_flag_names
from cli.progress_line import Progress
from cli.removal_client import RemovalClient
from cli.server_process import PRESETS_VARIABLE
from cli.watch import WatchedFolder, watch
from shared.errors import InvalidOption
from shared.presets import InvalidPresets, Preset, find_preset, load_presets

DEFAULT_JOBS = 2  # one is uploaded or downloaded while the other is processed
MAX_JOBS = 64
RETENTION_S = 120  # of results in a server started here, so that a large batch does not fill the disk

ABOUT = "Remove the background of images: files, folders, glob patterns, URLs, or - for standard input."
EPILOG = """Results are written next to their images, as NAME-cutout.png (-mask.png, -both.zip,
-layers.zip), or to --out-dir. Of several images, those with an up-to-date result are skipped.
Exit codes: 0, 1 (failed), 2 (usage error)."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand and its arguments."""
    parser = subparsers.add_parser(
        "remove", help="remove the background of images", description=ABOUT, epilog=EPILOG, allow_abbrev=False
    )
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="*", help="a file, a folder, a glob pattern, a URL, or -")
    add("-o", "--out", metavar="FILE", help="output file of a single image; - for standard output")
    add("--out-dir", metavar="FOLDER", type=_parse_out_dir, help="output folder; created if missing")
    add("--suffix", help="suffix of the results' names (default: -cutout, -mask, -both or -layers)")
    add("--recursive", action="store_true", help="include subfolders, which --out-dir reproduces")
    add("--overwrite", action="store_true", help="also process images whose result is up to date")
    add(
        "--watch",
        metavar="FOLDER",
        type=Path,
        help="process the images in this folder, and new ones as they appear, until Ctrl-C",
    )
    add(
        "--jobs",
        metavar="N",
        type=_parse_jobs,
        default=DEFAULT_JOBS,
        help=f"number of images processed concurrently (default: {DEFAULT_JOBS})",
    )
    add("--json", action="store_true", help="print one JSON object per image on standard output")
    add_server_flags(parser)
    add(
        "--cluster",
        metavar="HOST:PORT",
        help="remove on the nodes of a Ray cluster, which read the images and write to --out-dir themselves: "
        "paths that every node has, or URLs such as s3://bucket/folder",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Process the images, report them, and return the exit code."""
    started = time.monotonic()
    progress = Progress(quiet=arguments.json)
    report = Report(progress, as_json=arguments.json)
    try:
        token = read_token(arguments.token)
        if arguments.model and not arguments.server:
            check_model_name(arguments.model)
        preset = _read_preset(arguments, token)
        if arguments.cluster:
            return run_on_cluster(arguments, preset)
        if isinstance(arguments.out_dir, str):
            raise usage_error(f"--out-dir {arguments.out_dir}: a URL needs --cluster")
        plan = make_plan(arguments, preset)
        if plan.watched:
            return _run_watch(arguments, plan, plan.watched, report)
        return _run_single(arguments, plan, report) if plan.single else _run_batch(arguments, plan, report)
    except CommandFailed as error:
        progress.clear()
        if report.written or report.failures:
            report.summarise(time.monotonic() - started)
        return report.abort(arguments.images[0] if len(arguments.images) == 1 else None, error)
    except (KeyboardInterrupt, Terminated):
        progress.clear()
        if report.written or report.failures:
            report.summarise(time.monotonic() - started)
        raise
    finally:
        progress.clear()


def _read_preset(arguments: argparse.Namespace, token: str | None) -> Preset:
    """Return the options of --preset, from the server that is used, or from this machine for a new one.

    They are needed before the removals, since the output's names depend on them. Raises CommandFailed.
    """
    if arguments.preset is None:
        return {}
    try:
        if arguments.server:
            _ensure_environment(arguments)
            with connect(arguments.server, token) as service:
                return find_preset(service.client.get_presets(), arguments.preset)
        file = os.environ.get(PRESETS_VARIABLE)
        return find_preset(load_presets(Path(file).expanduser() if file else None), arguments.preset)
    except InvalidPresets as error:
        raise usage_error(f"{PRESETS_VARIABLE}: {error}") from error
    except InvalidOption as error:
        raise usage_error(use_flag_names(error.detail)) from error


def _run_single(arguments: argparse.Namespace, plan: Plan, report: Report) -> int:
    started = time.monotonic()
    (job,) = plan.jobs
    with _open_client(arguments, plan, report.progress) as client:
        result = client.remove(job, report.progress.show)
    report.add_written(job, result, time.monotonic() - started)
    return 0


def _run_batch(arguments: argparse.Namespace, plan: Plan, report: Report) -> int:
    started = time.monotonic()
    if plan.jobs:
        _ensure_environment(arguments)  # may re-execute this program: nothing is reported before
    if plan.skipped_results:
        report.note(f"skipped {len(plan.skipped_results)} results of earlier runs, recognised by their names")
    if plan.unread:
        report.note(f"not read: {describe_unread(plan.unread)}; convert them to JPEG or TIFF")
    for result in plan.skipped_results:
        if not result.in_folder:  # named itself: a program expects a line for it
            report.add_skipped_result(result)
    for job in plan.up_to_date:
        report.add_up_to_date(job)
    if plan.jobs:
        with _open_client(arguments, plan, report.progress) as client:
            run_batch(plan.jobs, client, arguments.jobs, report)
    return report.summarise(time.monotonic() - started)


def _run_watch(arguments: argparse.Namespace, plan: Plan, watched: WatchedFolder, report: Report) -> int:
    started = time.monotonic()
    try:
        with _open_client(arguments, plan, report.progress) as client:
            watch(watched, client, arguments.jobs, report)
    except (KeyboardInterrupt, Terminated):  # the regular end
        report.summarise(time.monotonic() - started)
    return 0


@contextlib.contextmanager
def _open_client(arguments: argparse.Namespace, plan: Plan, progress: Progress) -> Iterator[RemovalClient]:
    token = read_token(arguments.token)
    python = _ensure_environment(arguments)
    with _open_service(arguments.server, token, plan, python, progress) as service:
        yield RemovalClient(service, plan.options, plan.option_files)


def _open_service(
    server: str | None, token: str | None, plan: Plan, python: Path, progress: Progress
) -> contextlib.AbstractContextManager[Service]:
    if server:
        return connect(server, token)
    progress.show(0, "Starting the server")
    # The model that "auto" selects is loaded while this process still prepares the upload.
    settings = {"BGREMOVE_AUTO_DOWNLOAD": "true"}
    if plan.options.get("model", "auto") == "auto":
        settings["BGREMOVE_PRELOAD"] = "1"
    if not plan.single:
        settings["BGREMOVE_RETENTION_S"] = str(RETENTION_S)
    return start_service(python, settings)


def _ensure_environment(arguments: argparse.Namespace) -> Path:
    lists = [bootstrap.SUPERVISOR] if arguments.server else [bootstrap.SUPERVISOR, bootstrap.BUILTIN_MODEL]
    return ensure_environment(*lists)


def _parse_out_dir(value: str) -> Path | str:
    """Return a folder, or its URL as it is."""
    return value if "://" in value else Path(value)


def _parse_jobs(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"{value} is not a number from 1 to {MAX_JOBS}")
    return int(value)
