"""bgremove install: bring the packages that are missing or broken into .venv, torch among them."""

import argparse
from pathlib import Path

import bootstrap
from cli.command_errors import EXIT_FAILED, CommandFailed
from cli.connect import own_service
from cli.progress_line import Progress

NOTHING_TO_DO = "nothing to install: every package is there"


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    about = "Install the packages that are missing or broken, torch among them: a download of some size."
    parser = subparsers.add_parser(
        "install", help="install what BiRefNet needs", description=about, allow_abbrev=False
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Have a server of our own install the packages, and tell what is left to do."""
    progress = Progress(quiet=False)
    try:
        python = bootstrap.ensure(bootstrap.SUPERVISOR)
        bootstrap.reexec(python)
        outcome, ready = _ask_own(python, progress)
    except CommandFailed as error:
        progress.clear()
        bootstrap.print_message(error.detail)
        return error.exit_code
    finally:
        progress.clear()
    for line in outcome:
        bootstrap.print_message(line)
    return 0 if ready else EXIT_FAILED


def _ask_own(python: Path, progress: Progress) -> tuple[list[str], bool]:
    """Return what there is to tell, and whether BiRefNet has all that it needs."""
    progress.show(0, "Starting the server")
    with own_service(python, {}) as service:
        client = service.client
        progress.show(0, "Looking at what is installed")
        task_id = client.install()
        done = NOTHING_TO_DO
        if task_id is not None:
            try:
                client.finish(task_id, progress.show, "env/install")
            except CommandFailed as error:
                progress.clear()
                _show_log(client.log_of(task_id), error.detail)
                raise
            done = "installed what was missing"
        environment = client.environment()
        problems = [module.get("problem") for module in environment["modules"]]
        told = [done, *dict.fromkeys(str(problem) for problem in problems if problem)]
        return told, bool(environment.get("ready"))


def _show_log(lines: list[str], message: str) -> None:
    """Show all that pip said, for the last line alone rarely tells how to mend things; that comes after."""
    for line in lines:
        if line != message:
            bootstrap.print_message(f"  {line}")
