"""Subcommand `install`: installs missing and broken packages into .venv, torch included."""

import argparse
from pathlib import Path

import bootstrap
from cli.command_errors import EXIT_FAILED, CommandFailed
from cli.connect import start_service
from cli.progress_line import Progress

NOTHING_TO_DO = "nothing to install: every package is there"


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    about = "Install missing and broken packages, torch included: a download of several hundred megabytes."
    parser = subparsers.add_parser(
        "install", help="install the packages that BiRefNet needs", description=about, allow_abbrev=False
    )
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="install what a node of a Ray cluster needs, and the service before it",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Install the packages by a server started for it, report remaining problems, return the exit code."""
    progress = Progress(quiet=False)
    try:
        if arguments.cluster:
            bootstrap.ensure(bootstrap.SUPERVISOR, bootstrap.BUILTIN_MODEL, bootstrap.CLUSTER)
            bootstrap.print_message("the packages for a cluster are there")
            return 0
        python = bootstrap.ensure(bootstrap.SUPERVISOR)
        bootstrap.reexec(python)
        lines, ready = _install(python, progress)
    except CommandFailed as error:
        progress.clear()
        bootstrap.print_message(error.detail)
        return error.exit_code
    finally:
        progress.clear()
    for line in lines:
        bootstrap.print_message(line)
    return 0 if ready else EXIT_FAILED


def _install(python: Path, progress: Progress) -> tuple[list[str], bool]:
    """Return the outcome and remaining problems as lines, and whether BiRefNet has its packages."""
    progress.show(0, "Starting the server")
    with start_service(python, {}) as service:
        client = service.client
        progress.show(0, "Checking installed packages")
        task_id = client.start_install()
        outcome = NOTHING_TO_DO
        if task_id is not None:
            try:
                client.wait_for_task(task_id, progress.show, "env/install")
            except CommandFailed as error:
                progress.clear()
                _print_log(client.get_log(task_id), error.detail)
                raise
            outcome = "installed the missing packages"
        environment = client.get_environment()
        problems = [module.get("problem") for module in environment["modules"]]
        lines = [outcome, *dict.fromkeys(str(problem) for problem in problems if problem)]
        return lines, bool(environment.get("ready"))


def _print_log(lines: list[str], message: str) -> None:
    """Print pip's whole output, but for `message`, which is printed last."""
    for line in lines:
        if line != message:
            bootstrap.print_message(f"  {line}")
