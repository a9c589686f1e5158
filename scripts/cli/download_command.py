"""Subcommand `download`: downloads a BiRefNet model from the hub, or imports it from a local folder."""

import argparse
import os
from pathlib import Path

import bootstrap
from cli.command_errors import EXIT_USAGE, CommandFailed
from cli.connect import start_service
from cli.progress_line import Progress
from cli.server_process import MODEL_VARIABLE
from shared.catalog import CATALOG, DEFAULT_MODEL, ModelSpec, find_model
from shared.errors import BgremoveError, UnknownModel


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand and its arguments."""
    models = "\n".join(f"  {spec.name:<19} {spec.purpose}" for spec in CATALOG)
    parser = subparsers.add_parser(
        "download",
        help="download BiRefNet",
        description="Download a BiRefNet model into the data folder, unless it is there already.",
        epilog=f"models:\n{models}\n  owner/name          any other repository with BiRefNet weights",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--model",
        metavar="NAME",
        type=_parse_model,
        help=f"model to download (default: {MODEL_VARIABLE}, else {DEFAULT_MODEL})",
    )
    add(
        "--from",
        dest="folder",
        metavar="FOLDER",
        type=_parse_folder,
        help="copy the model from this folder, for machines without a connection",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Download or import the model and return the exit code."""
    progress = Progress(quiet=False)
    folder: Path | None = arguments.folder
    try:
        spec = _select_model(arguments.model)
        python = _ensure_environment(with_hub=folder is None)
        bootstrap.reexec(python)
        outcome = _download(python, spec, progress) if folder is None else _import(spec, folder, progress)
    except CommandFailed as error:
        progress.clear()
        bootstrap.print_message(error.detail)
        return error.exit_code
    finally:
        progress.clear()
    bootstrap.print_message(f"{spec.model_id} {outcome}")
    return 0


def _parse_model(value: str) -> ModelSpec:
    try:
        return find_model(value)
    except UnknownModel as error:
        raise argparse.ArgumentTypeError(error.detail) from error


def _parse_folder(value: str) -> Path:
    try:
        if Path(value).is_dir():
            return Path(value)
    except OSError as error:  # such as a name too long, or no search permission
        raise argparse.ArgumentTypeError(f"cannot access {value}: {error.strerror}") from error
    raise argparse.ArgumentTypeError(f"there is no folder {value}")


def _select_model(given: ModelSpec | None) -> ModelSpec:
    try:
        return given or find_model(os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL)
    except UnknownModel as error:
        raise CommandFailed(f"{MODEL_VARIABLE}: {error.detail}", "usage", EXIT_USAGE) from error


def _ensure_environment(*, with_hub: bool) -> Path:
    lists = [bootstrap.SUPERVISOR, bootstrap.DOWNLOAD] if with_hub else [bootstrap.SUPERVISOR]
    try:
        return bootstrap.ensure(*lists)
    except bootstrap.SetupError as error:
        raise CommandFailed(error.detail, "setup_failed") from error


def _download(python: Path, spec: ModelSpec, progress: Progress) -> str:
    progress.show(0, "Starting the server")
    settings = {MODEL_VARIABLE: str(spec.repo_id or spec.path)}
    with start_service(python, settings) as service:
        task_id = service.client.start_download()
        if task_id is None:
            return "is here already"
        service.client.wait_for_task(task_id, progress.show)
    return "is downloaded"


def _import(spec: ModelSpec, folder: Path, progress: Progress) -> str:
    # Imported here: only .venv's Python has their packages.
    from supervisor.models.store import import_folder  # noqa: PLC0415
    from supervisor.settings import BadSettings, load_settings  # noqa: PLC0415

    try:
        settings = load_settings([])
        commit = import_folder(folder, settings.data_dir, spec, settings.revision, progress.show)
    except BadSettings as error:
        raise CommandFailed(str(error), "usage", EXIT_USAGE) from error
    except BgremoveError as error:
        raise CommandFailed(error.detail, error.code) from error
    return f"is copied, as {commit}"
