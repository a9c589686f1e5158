"""Talks to the service: send the photo, follow the task, fetch the cutout; have packages installed."""

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import IO, Any, Self

import h11
import httpcore2  # noqa: F401 - httpx2 loads it with its first client; here it loads while the server starts
import httpx2

from cli.command_errors import CommandFailed, ServerBusy, Unreachable

Payload = dict[str, Any]
Options = Mapping[str, str | int | bool]
Files = Mapping[str, tuple[str, IO[bytes]]]

API = "/api/v1"
TIMEOUT_S = 60
CONNECT_S = 10
EXAMINING_S = 120  # the server tries every import before it answers
MAX_FAILURES = 5  # in a row, of both the event stream and the plain question
RETRY_S = 0.5
BUSY_S = 2.0  # before the next try, where a full server names no time
BUSY_MAX_S = 60.0
CANCEL_S = 2
FINAL = {"complete", "error"}


class Client:
    """One server's API. Every way that a call can fail comes out as CommandFailed."""

    def __init__(self, server: str, token: str | None) -> None:
        self._server = server
        # Reading the system's certificates takes longer than a whole request to a server of our own.
        plain = not server.lower().startswith("https:")
        with self._failures():
            self._http = httpx2.Client(
                base_url=server,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=httpx2.Timeout(TIMEOUT_S, connect=CONNECT_S),
                trust_env=False,
                # Of the environment, only SSL_CERT_FILE and SSL_CERT_DIR are heeded: whom the person trusts.
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx2.create_ssl_context(),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def check(self) -> None:
        """Raise CommandFailed where no service answers."""
        with self._failures():
            self._json(self._http.get(f"{API}/health"), "status")

    def upload(self, options: Options, files: Files) -> str:
        """Queue the photo, the part called "file"; gives the task's id. A full queue is a ServerBusy."""
        words = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in options.items()
        }
        with self._failures():
            answer = self._http.post(f"{API}/remove/upload", data=words, files=files)
            return str(self._json(answer, "task_id")["task_id"])

    def send_address(self, address: str, options: Options) -> str:
        """Have the server fetch the photo there; gives the task's id. A full queue is a ServerBusy."""
        with self._failures():
            answer = self._http.post(f"{API}/remove/url", json={"url": address, **options})
            return str(self._json(answer, "task_id")["task_id"])

    def cancel(self, task_id: str) -> None:
        """Have a task ended; without a word where that is no use any more."""
        with contextlib.suppress(CommandFailed), self._failures():
            self._http.delete(f"{API}/tasks/{task_id}", timeout=CANCEL_S)

    def download_model(self) -> str | None:
        """Have the server download its model; gives the task's id, None where the model is there."""
        with self._failures():
            task_id = self._json(self._http.post(f"{API}/remove/download"), "task_id")["task_id"]
        return None if task_id is None else str(task_id)

    def finish(self, task_id: str, show: Callable[[float, str], None], kind: str = "remove") -> None:
        """Follow the task to its end, showing how far it is. A task that fails is a CommandFailed."""
        for state in self.follow(task_id, kind):
            message = str(state.get("message") or state["status"])
            if state["status"] == "error":
                raise CommandFailed(message, str(state.get("code") or "task_failed"))
            show(float(state.get("percent") or 0), message)

    def environment(self) -> Payload:
        """How the server's environment stands."""
        with self._failures():
            answer = self._http.get(f"{API}/env/status", timeout=EXAMINING_S)
            return self._json(answer, "modules")

    def install(self) -> str | None:
        """Start the install of what is missing or broken; gives the task's id, None where nothing is."""
        with self._failures():
            answer = self._http.post(f"{API}/env/install", timeout=EXAMINING_S)
            task_id = self._json(answer, "task_id")["task_id"]
            return None if task_id is None else str(task_id)

    def log_of(self, task_id: str) -> list[str]:
        """What a task has logged."""
        with self._failures():
            return list(self._json(self._http.get(f"{API}/tasks/{task_id}"), "logs")["logs"])

    def follow(self, task_id: str, kind: str = "remove") -> Iterator[Payload]:
        """The states, up to the last one, of a task of that part of the API, through dropped connections."""
        failures = 0
        while True:
            try:
                for state in self._stream(f"{API}/{kind}/stream/{task_id}"):
                    failures = 0
                    yield state
                    if state["status"] in FINAL:
                        return
            except httpx2.TransportError:
                pass  # a proxy's timeout, a sleeping laptop: the plain question below tells more
            try:
                with self._failures():
                    state = self._json(self._http.get(f"{API}/tasks/{task_id}"), "status")
            except Unreachable:
                failures += 1
                if failures >= MAX_FAILURES:
                    raise
            else:
                failures = 0
                yield state
                if state["status"] in FINAL:
                    return
            time.sleep(RETRY_S)

    def result(self, task_id: str) -> Payload:
        """What the finished task gave."""
        with self._failures():
            return self._json(self._http.get(f"{API}/remove/result/{task_id}"), "result_url")

    def forget(self, task_id: str) -> None:
        """Have the server delete a finished photo and its cutout; without a word where it cannot."""
        with contextlib.suppress(CommandFailed), self._failures():
            self._http.delete(f"{API}/remove/result/{task_id}", timeout=CANCEL_S)

    def fetch(self, address: str, write: Callable[[bytes], None]) -> None:
        """Fetch the cutout, handing on each piece as it comes."""
        if not address.startswith("/") or address.startswith("//"):
            # The token goes along with every request: never to a host that the person didn't name.
            raise CommandFailed(f"the server put the cutout elsewhere: {address}", "bad_answer")
        with self._failures(), self._http.stream("GET", address) as answer:
            self._check(answer)
            for chunk in answer.iter_bytes():
                write(chunk)

    def _stream(self, address: str) -> Iterator[Payload]:
        with self._http.stream("GET", address) as answer:
            if answer.is_success:
                for event in httpx2.EventSource(answer):
                    with contextlib.suppress(ValueError):
                        state = json.loads(event.data)
                        if isinstance(state, dict) and "status" in state:
                            yield state

    def _json(self, answer: httpx2.Response, required: str) -> Payload:
        self._check(answer)
        body: Payload = answer.json()
        if not isinstance(body, dict) or required not in body:
            raise TypeError(f"no {required} in the answer")
        return body

    def _check(self, answer: httpx2.Response) -> None:
        if answer.is_success:
            return
        answer.read()
        try:
            body = answer.json()
            refusal = CommandFailed(str(body["detail"]), str(body["code"]))
            if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS:
                delay_s = _wait(answer.headers.get("retry-after", ""))
                refusal = ServerBusy(refusal.detail, refusal.code, delay_s)
        except (ValueError, KeyError, TypeError):  # not ours: a proxy, or another service
            location = answer.headers.get("location")
            where = f" and points to {location}" if location else ""
            said = f"{answer.status_code} {answer.reason_phrase}".strip()
            kind = Unreachable if answer.is_server_error else CommandFailed
            refusal = kind(f"{self._server} answered {said}{where}", "bad_answer")
        raise refusal

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"no connection to {self._server}: {reason}", "unreachable") from error
        except h11.LocalProtocolError as error:  # more or fewer bytes than the file had when it was opened
            raise CommandFailed("the photo changed while it was sent", "input_changed") from error
        except (ValueError, KeyError, TypeError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise CommandFailed(f"{self._server} did not answer like bgremove", "bad_answer") from error


def _wait(retry_after: str) -> float:
    try:
        return min(max(float(retry_after), 0), BUSY_MAX_S)
    except ValueError:  # not given, or a date, which needs two clocks that agree
        return BUSY_S
