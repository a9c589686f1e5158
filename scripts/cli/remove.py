"""bgremove remove PHOTO: cut one photo out, with a server of its own or one that runs already."""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bootstrap
from cli.errors import MISUSED, CommandFailed
from cli.progress import Progress
from cli.server import PrivateServer
from shared.options import Option, declared_options

REPORTED = ("width", "height", "model_id", "device", "timings_ms")


@dataclass(frozen=True)
class Job:
    """What to cut out, and where to."""

    photo: Path
    output: Path
    options: dict[str, str]
    progress: Progress


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand and its arguments."""
    about = "Remove the background of one photo. The cutout is a PNG with transparency."
    parser = subparsers.add_parser(
        "remove", help="remove the background of one photo", description=about, allow_abbrev=False
    )
    add = parser.add_argument
    add("photo", metavar="PHOTO", type=Path, help="the image file to cut out")
    add(
        "-o",
        "--out",
        metavar="FILE",
        type=Path,
        help="the PNG to write (default: PHOTO-cutout.png)",
    )
    add("--json", action="store_true", help="print one JSON object instead of words")
    for option in declared_options():
        add(f"--{option.name.replace('_', '-')}", **_parsing(option))
    add("--server", metavar="URL", type=_server, help="use this running server instead of starting one")
    add("--token", help="that server's token (default: what BGREMOVE_TOKEN says)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Cut the photo out and report, in words or as JSON."""
    started = time.monotonic()
    photo: Path = arguments.photo
    output: Path = arguments.out or photo.with_name(f"{photo.stem}-cutout.png")
    progress = Progress(quiet=arguments.json)
    try:
        _check_paths(photo, output)
        token = _token(arguments.token)
        python = _environment(with_model=not arguments.server)
        bootstrap.reexec(python)
        job = Job(photo, output, _options(arguments), progress)
        result = _ask_running(arguments.server, token, job) if arguments.server else _ask_own(python, job)
    except CommandFailed as error:
        progress.clear()
        return _report_failure(error, photo, as_json=arguments.json)
    finally:
        progress.clear()
    seconds = round(time.monotonic() - started, 3)
    if arguments.json:
        facts = {name: result.get(name) for name in REPORTED}
        print(json.dumps({"input": str(photo), "output": str(output), **facts, "seconds": seconds}))
    else:
        size = f"{result.get('width')} x {result.get('height')}"
        bootstrap.say(f"wrote {output} ({size}, {result.get('model_id')}, {seconds:.1f} s)")
    return 0


def _options(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the options that were given; the server knows the defaults of the others."""
    given = {option.name: getattr(arguments, option.name) for option in declared_options()}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }


def _parsing(option: Option) -> dict[str, Any]:
    """Return how argparse reads an option; the server checks limits, and names the option in its answer."""
    default = "" if option.default is None else f" (default: {str(option.default).lower()})"
    told: dict[str, Any] = {"help": option.help + default, "default": None}
    match option.kind:
        case "choice":
            return told | {"choices": option.choices}
        case "boolean":
            return told | {"action": argparse.BooleanOptionalAction}
        case "integer":
            return told | {"type": int, "metavar": (option.unit or "N").upper()}
    return told | {"metavar": option.kind.upper()}


def _environment(*, with_model: bool) -> Path:
    lists = [bootstrap.SUPERVISOR, bootstrap.BUILTIN_MODEL] if with_model else [bootstrap.SUPERVISOR]
    try:
        return bootstrap.ensure(*lists)
    except bootstrap.SetupError as error:
        raise CommandFailed(error.detail, "setup_failed") from error


def _ask_running(server: str, token: str | None, job: Job) -> dict[str, Any]:
    return _ask(lambda: server, token, job)


def _ask_own(python: Path, job: Job) -> dict[str, Any]:
    job.progress.show(0, "Starting the server")
    # The model that "auto" means loads while this process still gets ready to send the photo.
    preload = {"BGREMOVE_PRELOAD": "1"} if job.options.get("model", "auto") == "auto" else {}
    with PrivateServer(python, bootstrap.ROOT, preload) as server:
        try:
            return _ask(server.wait_ready, None, job)
        except CommandFailed as error:
            if error.code == "unreachable":
                server.check_alive()
            raise


def _ask(address: Callable[[], str], token: str | None, job: Job) -> dict[str, Any]:
    # Imported here: only .venv's Python has it, and it loads while the server starts.
    from cli.client import Client  # noqa: PLC0415

    with Client(address(), token) as client:
        job.progress.show(0, "Sending the photo")
        task_id = client.upload(job.photo, job.options)
        client.finish(task_id, job.progress.show)
        result = client.result(task_id)
        client.download(str(result["result_url"]), job.output)
    return result


def _check_paths(photo: Path, output: Path) -> None:
    problem = None
    if not photo.is_file():
        problem = f"{photo} is not a file" if photo.exists() else f"there is no file {photo}"
    elif output.is_dir():
        problem = f"{output} is a folder; give the name of the file to write"
    elif not output.parent.is_dir():
        problem = f"there is no folder {output.parent}"
    elif output.exists() and output.samefile(photo):
        problem = f"writing {output} would overwrite the photo itself"
    if problem:
        raise CommandFailed(problem, "usage", MISUSED)


def _report_failure(error: CommandFailed, photo: Path, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": {"code": error.code, "detail": error.detail}, "input": str(photo)}))
    else:
        bootstrap.say(error.detail)
    return error.exit_code


def _token(given: str | None) -> str | None:
    token = (given or os.environ.get("BGREMOVE_TOKEN") or "").strip()  # from a file, it ends in a newline
    if not (token.isascii() and token.isprintable()):
        raise CommandFailed("the token has characters that cannot be sent", "usage", MISUSED)
    return token or None


def _server(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, a bracket left open
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"{value} is not an address like http://127.0.0.1:6905")
    return value.rstrip("/")
