"""Resolves the arguments of `remove` into a plan and validates it before anything is installed or started."""

import argparse
import os
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from cli.command_errors import usage_error
from cli.inputs import STDIN, Source, find_sources
from cli.option_flags import Options, infer_format, read_option_files, read_options
from cli.outputs import Job, Naming, check_output, ensure_writable_folder, plan_jobs
from cli.watch import WatchedFolder
from shared.presets import Preset

SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


@dataclass(frozen=True)
class Plan:
    """The images to process and how, those that are up to date, or a folder to watch.

    `single`: one image that was named itself. It is always processed again, so that options can be tried.
    """

    options: Options
    option_files: dict[str, Path]
    jobs: list[Job] = field(default_factory=list)
    up_to_date: list[Job] = field(default_factory=list)
    skipped_results: list[Source] = field(default_factory=list)
    single: bool = False
    watched: WatchedFolder | None = None
    unread: Counter[str] = field(default_factory=Counter)  # images in folders, of kinds that are not read


def make_plan(arguments: argparse.Namespace, preset: Preset) -> Plan:
    """Resolve the arguments, with the options of a preset, and inspect the files. Raises a usage error."""
    try:
        return _make_plan(arguments, preset)
    except OSError as error:  # such as a name too long, or a folder without search permission
        raise usage_error(f"cannot access {error.filename}: {error.strerror}") from error


def _make_plan(arguments: argparse.Namespace, preset: Preset) -> Plan:
    options, files = read_options(arguments, preset), read_option_files(arguments)
    naming = Naming(options, arguments.out_dir, arguments.suffix)
    if arguments.watch:
        return Plan(options, files, watched=_plan_watch(arguments, naming))
    if not arguments.images:
        raise usage_error("name an image, a folder, or a folder to --watch")
    unread: Counter[str] = Counter()
    sources = find_sources(
        arguments.images, recursive=arguments.recursive, exclude=arguments.out_dir, unread=unread
    )
    if files and any(source.kind == "url" for source in sources):
        option = next(iter(files)).replace("_", "-")
        raise usage_error(f"--{option} cannot be used with a URL; download the image first")
    if len(sources) == 1 and not sources[0].in_folder and not arguments.out_dir:
        return _plan_single(arguments, sources[0], naming, files)
    if arguments.out and arguments.out_dir:
        raise usage_error("-o and --out-dir exclude each other: name the file, or the folder")
    if arguments.out:
        raise usage_error("-o names the file of a single image; for several, or a folder, use --out-dir")
    return replace(_plan_batch(arguments, sources, naming, files), unread=unread)


def _plan_watch(arguments: argparse.Namespace, naming: Naming) -> WatchedFolder:
    folder: Path = arguments.watch
    if arguments.images:
        raise usage_error("--watch FOLDER cannot be combined with other images")
    if arguments.out:
        raise usage_error("-o names the file of a single image; with --watch use --out-dir")
    if not folder.is_dir():
        raise usage_error(f"there is no folder {folder}")
    naming.check_distinguishable([folder])
    ensure_writable_folder(naming.folder or folder)
    return WatchedFolder(folder, naming, recursive=arguments.recursive, overwrite=arguments.overwrite)


def _plan_single(
    arguments: argparse.Namespace, source: Source, naming: Naming, files: dict[str, Path]
) -> Plan:
    options, output = naming.options, naming.output_path(source)
    if arguments.out and arguments.out.endswith(SEPARATORS):
        raise usage_error(f"{arguments.out} is a folder; give the name of the file to write, or --out-dir")
    if arguments.out and arguments.out != STDIN:
        output = Path(arguments.out)
        options = infer_format(options, output, is_given=arguments.format is not None)
    elif arguments.out == STDIN or source.kind == "stdin":
        if arguments.json:
            raise usage_error("--json and the image cannot both go to standard output; name a file with -o")
        if sys.stdout.isatty():
            raise usage_error("standard output is a terminal; write the image to a file, with -o or >")
        return Plan(options, files, [_check_stdin(Job(source, None))], single=True)
    job = _check_stdin(Job(source, output))
    check_output(job)
    if not output.exists() or output.is_file():  # for a device no temporary file is created next to it
        ensure_writable_folder(output.parent)
    return Plan(options, files, [job], single=True)


def _plan_batch(
    arguments: argparse.Namespace, sources: list[Source], naming: Naming, files: dict[str, Path]
) -> Plan:
    naming.check_distinguishable(Path(word) for word in arguments.images if Path(word).is_dir())
    images = [source for source in sources if not naming.is_result(source)]
    if not images:
        raise usage_error(f"there are only results of earlier runs, such as {sources[0].name}")
    jobs = [_check_stdin(job) for job in plan_jobs(images, naming)]
    for job in jobs:
        check_output(job, create_folder=True)
    up_to_date = [] if arguments.overwrite else [job for job in jobs if job.up_to_date]
    skipped = set(up_to_date)
    todo = [job for job in jobs if job not in skipped]
    for folder in sorted({job.output.parent for job in todo if job.output}):
        ensure_writable_folder(folder)
    included = set(images)
    results = [source for source in sources if source not in included]
    return Plan(naming.options, files, todo, up_to_date, results)


def _check_stdin(job: Job) -> Job:
    if job.source.kind == "stdin" and sys.stdin.isatty():
        raise usage_error("standard input is a terminal; pipe an image into it, with | or <")
    return job
