"""Subcommands `serve`, and `status`, `load`, `unload` and `restart-worker`, which ask a running server."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable

import bootstrap
from cli.command_errors import CommandFailed
from cli.connect import Service, connect, ensure_environment, parse_server_url, read_token
from cli.progress_line import Progress, replace_controls
from shared.hub_cache import format_bytes

Subparsers = argparse._SubParsersAction  # noqa: SLF001  # argparse has no public name for it
SERVER = "http://127.0.0.1:6905"
EPILOG = "example:\n  python3 scripts/bgremove.py "


def add_to(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add these subcommands and their arguments."""
    serve = _add(subparsers, "serve", "start the server, until Ctrl-C", "serve --port 8000", run_serve)
    serve.usage = "bgremove serve [FLAG ...]"
    serve.description = "Start the server, until Ctrl-C. Its flags are in docs/configuration.md."
    _add_client(subparsers, "status", "print the state of a running server", "status", _print_status)
    load = _add_client(subparsers, "load", "load a model into memory", "load u2net", _load)
    load.add_argument("model", metavar="NAME", nargs="?", default="birefnet", help="default: birefnet")
    unload = _add_client(subparsers, "unload", "free a model's memory", "unload birefnet", _unload)
    unload.add_argument("model", metavar="NAME", nargs="?", help="default: all models")
    unload.add_argument("--cancel-queued", action="store_true", help="cancel the removals that need it")
    restart = _add_client(
        subparsers, "restart-worker", "end a model's worker and start a new one", "restart-worker", _restart
    )
    restart.add_argument("model", metavar="NAME", nargs="?", default="auto", help="default: the one in use")


def run_serve(arguments: argparse.Namespace) -> int:
    """Run the server in place of this program, and return its exit code."""
    try:
        python = ensure_environment(bootstrap.SUPERVISOR, bootstrap.BUILTIN_MODEL)
    except CommandFailed as error:
        bootstrap.print_message(error.detail)
        return error.exit_code
    os.environ["PYTHONPATH"] = str(bootstrap.ROOT)
    command = [str(python), "-m", "supervisor", *arguments.flags]
    if sys.platform == "win32":  # there, exec would return to the shell at once
        return subprocess.run(command, check=False).returncode
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted
    return 0  # never: the server has replaced this program


def _add(
    subparsers: "Subparsers[argparse.ArgumentParser]",
    name: str,
    about: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        name,
        help=about,
        description=f"{about[:1].upper()}{about[1:]}.",
        epilog=EPILOG + example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def _add_client(
    subparsers: "Subparsers[argparse.ArgumentParser]",
    name: str,
    about: str,
    example: str,
    ask: Callable[[Service, argparse.Namespace], str],
) -> argparse.ArgumentParser:
    """Add a subcommand that asks a running server and prints the answer."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            token = read_token(arguments.token)
            ensure_environment(bootstrap.SUPERVISOR)
            with connect(arguments.server, token) as service:
                answer = ask(service, arguments)
        except CommandFailed as error:
            bootstrap.print_message(error.detail)
            return error.exit_code
        print(replace_controls(answer), flush=True)
        return 0

    parser = _add(subparsers, name, about, example, run)
    add = parser.add_argument
    add("--server", metavar="URL", type=parse_server_url, default=SERVER, help=f"default: {SERVER}")
    add("--token", help="the server's token (default: BGREMOVE_TOKEN)")
    return parser


def _print_status(service: Service, _: argparse.Namespace) -> str:
    status = service.client.call("GET", "status", "workers")
    server, queue = status["server"], status["queue"]
    lines = [f"bgremove {server['version']}, process {server['pid']}, up for {server['uptime_s']:.0f} s"]
    lines.append(f"queue: {queue['length']} of {queue['limit']}")
    for worker in status["workers"]:
        memory = f", {format_bytes(worker['rss_bytes'])}" if worker.get("rss_bytes") else ""
        lines.append(f"{worker['model']} on {worker['device']}: {worker['state']}{memory}")
    return "\n".join(lines)


def _load(service: Service, arguments: argparse.Namespace) -> str:
    return _follow(service, "remove/load", arguments.model, f"{arguments.model} is loaded")


def _restart(service: Service, arguments: argparse.Namespace) -> str:
    return _follow(service, "worker/restart", arguments.model, "the worker was restarted")


def _unload(service: Service, arguments: argparse.Namespace) -> str:
    query = {"model": arguments.model} if arguments.model else {}
    if arguments.cancel_queued:
        query["cancel_queued"] = "true"
    answer = service.client.call("POST", "remove/unload", "unloaded", **query)
    name = arguments.model or "every model"
    if not answer["unloaded"]:
        return f"{name} was not loaded"
    again = f"; {answer['queued']} removals will load it again" if answer.get("queued") else ""
    return f"{name} is unloaded, {format_bytes(answer['freed_bytes'] or 0)} are free{again}"


def _follow(service: Service, path: str, model: str, outcome: str) -> str:
    """Start a model's task, wait for its end, and return the outcome in a sentence."""
    task_id = service.client.call("POST", path, "task_id", model=model)["task_id"]
    progress = Progress(quiet=False)
    try:
        if task_id is not None:
            service.client.wait_for_task(task_id, progress.show)
    finally:
        progress.clear()
    return outcome
