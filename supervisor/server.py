"""The server process: its socket, its ready line, its signals, and its shutdown."""

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from typing import NoReturn, cast

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from shared import logs
from shared.errors import StorageFailed
from shared.presets import InvalidPresets
from supervisor import __version__
from supervisor.app import create_app
from supervisor.banner import make_banner
from supervisor.container import Address, Container
from supervisor.environment.requirements import PackageLists
from supervisor.platform import windows_loop
from supervisor.platform.connection_limits import ConnectionLimits, compute_max_connections
from supervisor.platform.file_limit import raise_file_limit
from supervisor.platform.private_dir import is_owned_or_free, make_private_dir
from supervisor.settings import PREFIX, BadSettings, Settings, load_settings

KEEPALIVE_IDLE_S = 60  # before the system probes whether a connection's client is still there
# Python's default of 5 ms favours throughput; here the event loop would wait for threads that parse bodies.
GIL_INTERVAL_S = 0.001
SHUTDOWN_S = 4.0  # of jobs, workers and the requests in progress; what follows has a second more
# For requests in progress, by how long the jobs and workers took; open streams end by themselves.
MIN_GRACE_S, MAX_GRACE_S = 0.5, 3.0
SHUTDOWN_TIMEOUT_S = 10.0  # after which the process exits, whatever its event loop does
LOG_DRAIN_S = 0.5
log = logging.getLogger("supervisor")


def main(arguments: list[str], lists: PackageLists | None = None) -> NoReturn:
    """Serve until Ctrl-C, SIGTERM, SIGHUP or, if set, EOF on stdin; then exit the process.

    `lists` are the packages that the environment must have; by default the project's own.
    """
    code = _serve(arguments, lists)
    sys.stdout.flush()
    logs.drain(LOG_DRAIN_S)
    # Everything is closed by now. Python would join every thread, such as one that waits for a name server
    # which never answers, and then deallocate each module, which takes a fifth of a second.
    os._exit(code)


def _serve(arguments: list[str], lists: PackageLists | None) -> int:
    """Serve, and return the exit code."""
    try:
        settings = load_settings(arguments)
        logs.configure(settings.log_level, settings.log_format)
        raise_file_limit()
        _check_writable(settings)
        _check_spool(settings)
        _check_cluster(settings)
        if "temp_dir" in settings.model_fields_set:
            tempfile.tempdir = str(settings.temp_dir)  # of uploads while they are received
        stdin = _take_stdin() if settings.exit_on_stdin_eof else None
        listener = _bind(settings)
        host, port = listener.getsockname()[:2]
        address = Address(host, port)
        app = create_app(settings, address, lists)
    except BadSettings as error:
        sys.stderr.write(f"bgremove: {error}\n")
        return 1
    except InvalidPresets as error:
        sys.stderr.write(f"bgremove: bad value for {PREFIX}PRESETS: {error}\n")
        return 1
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http=cast("type[asyncio.Protocol]", ConnectionLimits(compute_max_connections()).make_protocol),
        server_header=False,
    )
    server = Server(config, address, make_banner(settings, address))
    _handle_sighup(server)
    for number in HANDLED_SIGNALS:
        # uvicorn restores these at its end: the default ones would let a repeated signal kill the process.
        signal.signal(number, server.handle_exit)
    if stdin is not None:
        threading.Thread(target=_wait_for_eof, args=(stdin, server), name="stdin-watch", daemon=True).start()
    sys.setswitchinterval(GIL_INTERVAL_S)
    # The loop of uvloop, where that is installed.
    runner = asyncio.Runner(loop_factory=windows_loop.choose_loop_factory(config.get_loop_factory()))
    runner.run(server.serve(sockets=[listener]))
    return 0


class Server(uvicorn.Server):
    """uvicorn's server, with a ready line for the parent process and an ordered shutdown."""

    def __init__(self, config: uvicorn.Config, address: Address, banner: str = "") -> None:
        super().__init__(config)
        self._address = address
        self._banner = banner

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then write the ready line, JSON, to stdout."""
        await super().startup(sockets)
        ready = {
            "event": "ready",
            "host": self._address.host,
            "port": self._address.port,
            "pid": os.getpid(),
            "version": __version__,
        }
        try:
            print(json.dumps(ready), flush=True)  # noqa: T201  # unlike write(), does nothing without a stdout
        except OSError as error:
            log.warning("ready line not written", extra={"reason": str(error)})
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(self._banner)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the container before the connections: open streams end with their tasks."""
        # No new connections: uvicorn would wait in vain for one accepted while it closes the others.
        for server in self.servers:
            server.close()
        container: Container = self.config.app.state.container  # type: ignore[union-attr]
        started_s = time.monotonic()
        await container.stop()
        remaining_s = SHUTDOWN_S - (time.monotonic() - started_s)
        grace_s = min(max(remaining_s, MIN_GRACE_S), MAX_GRACE_S)
        self.config.timeout_graceful_shutdown = grace_s  # type: ignore[assignment]  # it is only waited for
        await super().shutdown(sockets)

    # Repeated signals are ignored: the shutdown is always graceful.
    def handle_exit(self, sig: int, frame: object) -> None:  # noqa: ARG002  # uvicorn's signature
        """Start the shutdown."""
        log.info("shutdown started", extra={"signal": signal.Signals(sig).name})
        self.stop()

    def stop(self) -> None:
        """Start the shutdown, from any thread, with a time limit that does not need the event loop."""
        started, self.should_exit = self.should_exit, True
        if not started:
            timer = threading.Timer(SHUTDOWN_TIMEOUT_S, _exit_now)
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError as error:  # threads have run out
                log.warning("shutdown without time limit", extra={"reason": str(error)})


def _bind(settings: Settings) -> socket.socket:
    """Bind the listening socket first, so that a port in use is reported in one line. Raises BadSettings."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol by name: asyncio turns Nagle's delay off only for sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform == "win32":  # there, SO_REUSEADDR would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Without it, one whose client lost its network would never be closed.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise BadSettings(f"cannot listen on {where}: {error.strerror or error}") from error
    return listener


def _check_writable(settings: Settings) -> None:
    """Raise BadSettings for a temporary folder that is not writable, or not private."""
    folder = settings.temp_dir
    try:
        if not folder.exists():
            make_private_dir(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except (StorageFailed, OSError) as error:
        raise BadSettings(f"cannot write to the temporary folder {folder}") from error
    # It was free, or this user's, when it became the default. One that the user has set is trusted.
    if "temp_dir" not in settings.model_fields_set and not is_owned_or_free(folder):
        raise BadSettings(f"the temporary folder {folder} belongs to another user: set BGREMOVE_TEMP_DIR")


def _check_spool(settings: Settings) -> None:
    """Raise BadSettings for a spool folder that is not writable, or not private."""
    if not settings.durable:
        return
    folder = settings.spool_folder
    try:
        tempfile.TemporaryFile(dir=make_private_dir(folder)).close()
    except (StorageFailed, OSError) as error:
        raise BadSettings(
            f"cannot write to the spool folder {folder}: set BGREMOVE_SPOOL_DIR, or BGREMOVE_DURABLE=false"
        ) from error


def _check_cluster(settings: Settings) -> None:
    """Raise BadSettings for a cluster without the package for it."""
    if settings.cluster is not None and importlib.util.find_spec("ray") is None:
        raise BadSettings(
            f"{PREFIX}CLUSTER needs the package ray: run 'python3 scripts/bgremove.py install --cluster'"
        )


def _handle_sighup(server: Server) -> None:
    """Shut down on SIGHUP, when a terminal is closed: the default action would leave the photos on disk."""
    # Under nohup it is ignored, and stays so.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, server.handle_exit)


def _take_stdin() -> int:
    """Return a duplicate of standard input's descriptor, and replace standard input by an empty file.

    On Windows, a child that inherits a standard input which a thread of this process reads cannot start: its
    first access waits for that read (python/cpython#78961). Raises BadSettings without a standard input.
    """
    try:
        stdin = os.dup(0)
    except OSError as error:
        raise BadSettings("there is no standard input whose end could be waited for") from error
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return stdin


def _wait_for_eof(stdin: int, server: Server) -> None:
    with contextlib.suppress(OSError):  # a terminal that is gone is an end too
        while os.read(stdin, 4096):
            pass
    server.stop()


def _exit_now() -> None:
    """Exit although the shutdown has not finished; the workers die with this process."""
    log.critical("shutdown timed out", extra={"timeout_s": SHUTDOWN_TIMEOUT_S})
    logs.drain(LOG_DRAIN_S)
    os._exit(1)
