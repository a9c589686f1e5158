"""What a command is to do, found out and checked before anything is installed or started."""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cli.command_errors import usage_error
from cli.inputs import STDIN, Source, find_sources
from cli.option_flags import Options, fitted_to, given_images, given_options
from cli.outputs import Job, Naming, check_folder, check_output, planned
from cli.watch import Watched

SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


@dataclass(frozen=True)
class Plan:
    """The photos to cut out and how, the ones done already, or a folder to watch.

    `alone` is for one photo that was named itself: it is done again each time, as a person expects who
    tries options.
    """

    options: Options
    images: dict[str, Path]
    jobs: list[Job] = field(default_factory=list)
    done: list[Job] = field(default_factory=list)
    left_out: list[Source] = field(default_factory=list)
    alone: bool = False
    watched: Watched | None = None


def made_plan(arguments: argparse.Namespace) -> Plan:
    """Read the arguments and look at the files they name. Raises a misuse."""
    try:
        return _made(arguments)
    except OSError as error:  # a name too long, a folder closed to us: merely asking whether it exists fails
        raise usage_error(f"cannot look at {error.filename}: {error.strerror}") from error


def _made(arguments: argparse.Namespace) -> Plan:
    options, images = given_options(arguments), given_images(arguments)
    naming = Naming(options, arguments.out_dir, arguments.suffix)
    if arguments.watch:
        return Plan(options, images, watched=_watched(arguments, naming))
    if not arguments.photos:
        raise usage_error("name a photo, a folder, or a folder to --watch")
    sources = find_sources(arguments.photos, recursive=arguments.recursive, passed_over=arguments.out_dir)
    if images and any(source.kind == "address" for source in sources):
        option = next(iter(images)).replace("_", "-")
        raise usage_error(f"--{option} cannot go with an address; download the photo first")
    if len(sources) == 1 and not sources[0].found and not arguments.out_dir:
        return _alone(arguments, sources[0], naming, images)
    if arguments.out and arguments.out_dir:
        raise usage_error("-o and --out-dir exclude each other: name the file, or the folder")
    if arguments.out:
        raise usage_error("-o names the file of a single photo; for several, or a folder, use --out-dir")
    return _several(arguments, sources, naming, images)


def _watched(arguments: argparse.Namespace, naming: Naming) -> Watched:
    folder: Path = arguments.watch
    if arguments.photos:
        raise usage_error("--watch FOLDER takes no photos beside it")
    if arguments.out:
        raise usage_error("-o names the file of a single photo; with --watch use --out-dir")
    if not folder.is_dir():
        raise usage_error(f"there is no folder {folder}")
    naming.check_telling([folder])
    check_folder(naming.folder or folder)
    return Watched(folder, naming, recursive=arguments.recursive, overwrite=arguments.overwrite)


def _alone(arguments: argparse.Namespace, source: Source, naming: Naming, images: dict[str, Path]) -> Plan:
    options, output = naming.options, naming.output(source)
    if arguments.out and arguments.out.endswith(SEPARATORS):
        raise usage_error(f"{arguments.out} is a folder; give the name of the file to write, or --out-dir")
    if arguments.out and arguments.out != STDIN:
        output = Path(arguments.out)
        options = fitted_to(options, output)
    elif arguments.out == STDIN or source.kind == "stdin":
        if arguments.json:
            raise usage_error("--json and the picture cannot both go to standard output; name a file with -o")
        if sys.stdout.isatty():
            raise usage_error("standard output is a terminal; send the picture to a file, with -o or >")
        return Plan(options, images, [_readable(Job(source, None))], alone=True)
    job = _readable(Job(source, output))
    check_output(job)
    if not output.exists() or output.is_file():  # no device, whose folder nobody writes to
        check_folder(output.parent)
    return Plan(options, images, [job], alone=True)


def _several(
    arguments: argparse.Namespace, sources: list[Source], naming: Naming, images: dict[str, Path]
) -> Plan:
    naming.check_telling(Path(word) for word in arguments.photos if Path(word).is_dir())
    photos = [source for source in sources if not naming.is_result(source)]
    if not photos:
        raise usage_error(f"there are only results of earlier runs, such as {sources[0].name}")
    jobs = [_readable(job) for job in planned(photos, naming)]
    for job in jobs:
        check_output(job, make_folder=True)
    done = [] if arguments.overwrite else [job for job in jobs if job.done]
    finished = set(done)
    todo = [job for job in jobs if job not in finished]
    for folder in sorted({job.output.parent for job in todo if job.output}):
        check_folder(folder)
    taken = set(photos)
    left_out = [source for source in sources if source not in taken]
    return Plan(naming.options, images, todo, done, left_out)


def _readable(job: Job) -> Job:
    if job.source.kind == "stdin" and sys.stdin.isatty():
        raise usage_error("standard input is a terminal; send a photo into it, with | or <")
    return job
