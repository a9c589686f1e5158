"""bgremove remove PHOTO…: cut photos out, with a server of its own or one that runs already."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import bootstrap
from cli.batch import run_batch
from cli.batch_plan import Plan, made_plan
from cli.batch_report import Report
from cli.command_errors import CommandFailed, Terminated
from cli.connect import Service, own_service, running_service, server_address, usable_token
from cli.option_flags import add_options
from cli.progress_line import Progress
from cli.removal_client import Cutter
from cli.watch import Watched, watch

JOBS = 2  # one is sent or fetched while another is cut out
MAX_JOBS = 64
KEPT_S = 120  # our own server deletes results that soon: a large batch must not fill the disk

ABOUT = "Remove the background of photos: files, folders, patterns, addresses, or - for stdin."
EPILOG = """Results lie beside their photos, as PHOTO-cutout.png (-mask, -both.zip), or in --out-dir.
Of several photos, those whose result is there and newer are skipped. Exit codes: 0, 1 (failed), 2 (usage)."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand and its arguments."""
    parser = subparsers.add_parser(
        "remove", help="remove the background of photos", description=ABOUT, epilog=EPILOG, allow_abbrev=False
    )
    add = parser.add_argument
    add("photos", metavar="PHOTO", nargs="*", help="a file, a folder, a pattern, an address, or -")
    add("-o", "--out", metavar="FILE", help="the file to write for a single photo; - for standard output")
    add("--out-dir", metavar="FOLDER", type=Path, help="where to write results; it is made where it lacks")
    add("--suffix", help="what results' names have added (default: -cutout, -mask or -both)")
    add("--recursive", action="store_true", help="also take the folders in folders; --out-dir repeats them")
    add("--overwrite", action="store_true", help="do again what is done already")
    add(
        "--watch",
        metavar="FOLDER",
        type=Path,
        help="do what lies in this folder and what comes in, until Ctrl-C",
    )
    add(
        "--jobs",
        metavar="N",
        type=_jobs,
        default=JOBS,
        help=f"photos on their way at a time (default: {JOBS})",
    )
    add("--json", action="store_true", help="print one JSON object for each photo instead of words")
    add("--server", metavar="URL", type=server_address, help="use this running server, don't start one")
    add("--token", help="that server's token (default: what BGREMOVE_TOKEN says)")
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Cut the photos out and report, in words or as JSON."""
    started = time.monotonic()
    progress = Progress(quiet=arguments.json)
    report = Report(progress, as_json=arguments.json)
    try:
        usable_token(arguments.token)
        plan = made_plan(arguments)
        if plan.watched:
            return _watch(arguments, plan, plan.watched, report)
        return _run_one(arguments, plan, report) if plan.alone else _run_many(arguments, plan, report)
    except CommandFailed as error:
        progress.clear()
        if report.written or report.failures:
            report.summary(time.monotonic() - started)
        return report.ended(arguments.photos[0] if len(arguments.photos) == 1 else None, error)
    except (KeyboardInterrupt, Terminated):
        progress.clear()
        if report.written or report.failures:
            report.summary(time.monotonic() - started)
        raise
    finally:
        progress.clear()


def _run_one(arguments: argparse.Namespace, plan: Plan, report: Report) -> int:
    started = time.monotonic()
    (job,) = plan.jobs
    with _cutter(arguments, plan, report.progress) as cutter:
        result = cutter.cut(job, report.progress.show)
    report.wrote(job, result, time.monotonic() - started)
    return 0


def _run_many(arguments: argparse.Namespace, plan: Plan, report: Report) -> int:
    started = time.monotonic()
    if plan.jobs:
        _environment(arguments)  # may start this program anew: nothing is told before
    if plan.left_out:
        report.note(f"left out {len(plan.left_out)} results of earlier runs, told by their names")
    for result in plan.left_out:
        if not result.found:  # named by itself: a program waits for its line
            report.left_out(result)
    for job in plan.done:
        report.skipped_done(job)
    if plan.jobs:
        with _cutter(arguments, plan, report.progress) as cutter:
            run_batch(plan.jobs, cutter, arguments.jobs, report)
    return report.summary(time.monotonic() - started)


def _watch(arguments: argparse.Namespace, plan: Plan, watched: Watched, report: Report) -> int:
    started = time.monotonic()
    try:
        with _cutter(arguments, plan, report.progress) as cutter:
            watch(watched, cutter, arguments.jobs, report)
    except (KeyboardInterrupt, Terminated):  # the way to end it
        report.summary(time.monotonic() - started)
    return 0


@contextlib.contextmanager
def _cutter(arguments: argparse.Namespace, plan: Plan, progress: Progress) -> Iterator[Cutter]:
    token = usable_token(arguments.token)
    python = _environment(arguments)
    with _service(arguments.server, token, plan, python, progress) as service:
        yield Cutter(service, plan.options, plan.images)


def _service(
    server: str | None, token: str | None, plan: Plan, python: Path, progress: Progress
) -> contextlib.AbstractContextManager[Service]:
    if server:
        return running_service(server, token)
    progress.show(0, "Starting the server")
    # The model that "auto" means loads while this process still gets ready to send the photo.
    settings = {"BGREMOVE_PRELOAD": "1"} if plan.options.get("model", "auto") == "auto" else {}
    if not plan.alone:
        settings["BGREMOVE_RETENTION_S"] = str(KEPT_S)
    return own_service(python, settings)


def _environment(arguments: argparse.Namespace) -> Path:
    """Install what lacks, go on with the Python that has it, and return that one."""
    lists = [bootstrap.SUPERVISOR] if arguments.server else [bootstrap.SUPERVISOR, bootstrap.BUILTIN_MODEL]
    try:
        python = bootstrap.ensure(*lists)
    except bootstrap.SetupError as error:
        raise CommandFailed(error.detail, "setup_failed") from error
    bootstrap.reexec(python)
    return python


def _jobs(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"{value} is not a number from 1 to {MAX_JOBS}")
    return int(value)
