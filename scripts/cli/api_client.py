"""HTTP client for the service's API: uploads, task progress, results, model downloads, installs."""

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import h11
import httpcore2  # noqa: F401 - httpx2 imports it for its first client; here that happens while the server starts
import httpx2

from cli.command_errors import CommandFailed, ServerBusy, Unreachable

Payload = dict[str, Any]
Options = Mapping[str, str | int | bool]
Files = Mapping[str, tuple[str, IO[bytes]]]

KEY_HEADER = "Idempotency-Key"
API = "/api/v1"
TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 10
ENVIRONMENT_TIMEOUT_S = 120  # the server imports every package before it answers
CANCEL_TIMEOUT_S = 2
MAX_FAILURES = 5  # consecutive, of both the event stream and polling
RECONNECT_DELAY_S = 0.5
DEFAULT_RETRY_AFTER_S = 2.0
MAX_RETRY_AFTER_S = 60.0
FINAL_STATUSES = {"complete", "error"}


class Client:
    """HTTP client of one server. Every failure of a call is raised as CommandFailed."""

    def __init__(self, server: str, token: str | None) -> None:
        self._server = server
        # Loading the system's certificates takes longer than a whole request to a local server.
        plain = not server.lower().startswith("https:")
        with self._translate_errors():
            self._http = httpx2.Client(
                base_url=server,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=httpx2.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                trust_env=False,
                # Of the environment only SSL_CERT_FILE and SSL_CERT_DIR are used: the user's trust store.
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx2.create_ssl_context(),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def check_health(self) -> None:
        """Raise CommandFailed if no bgremove answers."""
        with self._translate_errors():
            self._parse(self._http.get(f"{API}/health"), "status")

    def get_presets(self) -> Mapping[str, Payload]:
        """Return the options of the server's presets, by their names."""
        with self._translate_errors():
            presets = self._parse(self._http.get(f"{API}/presets"), "marketplace")
            return {name: dict(preset) for name, preset in presets.items()}

    def upload(self, options: Options, files: Files, key: str) -> str:
        """Submit an image, the part "file", and return the task's id. Raises ServerBusy."""
        fields = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in options.items()
        }
        with self._translate_errors():
            response = self._http.post(
                f"{API}/remove/upload", data=fields, files=files, headers={KEY_HEADER: key}
            )
            return str(self._parse(response, "task_id")["task_id"])

    def submit_url(self, url: str, options: Options, key: str) -> str:
        """Submit a URL, from which the server fetches the image; return the task's id. Raises ServerBusy."""
        with self._translate_errors():
            response = self._http.post(
                f"{API}/remove/url", json={"url": url, **options}, headers={KEY_HEADER: key}
            )
            return str(self._parse(response, "task_id")["task_id"])

    def cancel(self, task_id: str) -> None:
        """Cancel a task; failures are ignored."""
        with contextlib.suppress(CommandFailed), self._translate_errors():
            self._http.delete(f"{API}/tasks/{task_id}", timeout=CANCEL_TIMEOUT_S)

    def get_models(self) -> list[Payload]:
        """Return the server's models."""
        with self._translate_errors():
            return list(self._parse(self._http.get(f"{API}/models"), "models")["models"])

    def start_download(self, model: str) -> str | None:
        """Start a model's download; return the task's id, None if the model is there."""
        with self._translate_errors():
            response = self._http.post(f"{API}/models/{quote(model)}/download")
            task_id = self._parse(response, "task_id")["task_id"]
            return None if task_id is None else str(task_id)

    def delete_model(self, model: str) -> int:
        """Delete a model's files on the server, and return their size in bytes."""
        with self._translate_errors():
            response = self._http.delete(f"{API}/models/{quote(model)}")
            return int(self._parse(response, "freed_bytes")["freed_bytes"])

    def call(self, method: str, path: str, required: str, **query: str) -> Payload:
        """Return the JSON object that a route of the API answers with, which must have the key `required`."""
        with self._translate_errors():
            return self._parse(self._http.request(method, f"{API}/{path}", params=query), required)

    def wait_for_task(self, task_id: str, show: Callable[[float, str], None], kind: str = "remove") -> None:
        """Follow a task to its end and show its progress. Raises CommandFailed if the task fails."""
        for state in self.follow(task_id, kind):
            message = str(state.get("message") or state["status"])
            if state["status"] == "error":
                raise CommandFailed(message, str(state.get("code") or "task_failed"))
            show(float(state.get("percent") or 0), message)

    def get_environment(self) -> Payload:
        """Return the state of the server's Python packages."""
        with self._translate_errors():
            response = self._http.get(f"{API}/env/status", timeout=ENVIRONMENT_TIMEOUT_S)
            return self._parse(response, "modules")

    def start_install(self) -> str | None:
        """Start the install of missing and broken packages; return the task's id, None if there are none."""
        with self._translate_errors():
            response = self._http.post(f"{API}/env/install", timeout=ENVIRONMENT_TIMEOUT_S)
            task_id = self._parse(response, "task_id")["task_id"]
            return None if task_id is None else str(task_id)

    def get_log(self, task_id: str) -> list[str]:
        """Return a task's log lines."""
        with self._translate_errors():
            return list(self._parse(self._http.get(f"{API}/tasks/{task_id}"), "logs")["logs"])

    def follow(self, task_id: str, kind: str = "remove") -> Iterator[Payload]:
        """Yield a task's states up to the final one; `kind` is the API section of its event stream.

        Reconnects after dropped connections. Raises Unreachable after MAX_FAILURES consecutive failures.
        """
        failures = 0
        while True:
            try:
                for state in self._stream(f"{API}/{kind}/stream/{task_id}"):
                    failures = 0
                    yield state
                    if state["status"] in FINAL_STATUSES:
                        return
            except httpx2.TransportError:
                pass  # such as a proxy's timeout or a suspended machine; the request below finds out
            try:
                with self._translate_errors():
                    state = self._parse(self._http.get(f"{API}/tasks/{task_id}"), "status")
            except Unreachable:
                failures += 1
                if failures >= MAX_FAILURES:
                    raise
            else:
                failures = 0
                yield state
                if state["status"] in FINAL_STATUSES:
                    return
            time.sleep(RECONNECT_DELAY_S)

    def get_result(self, task_id: str) -> Payload:
        """Return the result of a finished removal."""
        with self._translate_errors():
            return self._parse(self._http.get(f"{API}/remove/result/{task_id}"), "result_url")

    def delete_result(self, task_id: str) -> None:
        """Delete a finished task's image and result on the server; failures are ignored."""
        with contextlib.suppress(CommandFailed), self._translate_errors():
            self._http.delete(f"{API}/remove/result/{task_id}", timeout=CANCEL_TIMEOUT_S)

    def download_file(self, path: str, write: Callable[[bytes], None]) -> None:
        """Download a result file, passing each chunk to `write`."""
        if not path.startswith("/") or path.startswith("//"):
            # Every request carries the token: never to a host that the user did not name.
            raise CommandFailed(f"the result is on another host: {path}", "bad_answer")
        with self._translate_errors(), self._http.stream("GET", path) as response:
            self._raise_for_status(response)
            for chunk in response.iter_bytes():
                write(chunk)

    def _stream(self, path: str) -> Iterator[Payload]:
        with self._http.stream("GET", path) as response:
            if response.is_success:
                for event in httpx2.EventSource(response):
                    with contextlib.suppress(ValueError):
                        state = json.loads(event.data)
                        if isinstance(state, dict) and "status" in state:
                            yield state

    def _parse(self, response: httpx2.Response, required: str) -> Payload:
        self._raise_for_status(response)
        body: Payload = response.json()
        if not isinstance(body, dict) or required not in body:
            raise TypeError(f"no {required} in the response")
        return body

    def _raise_for_status(self, response: httpx2.Response) -> None:
        if response.is_success:
            return
        response.read()
        try:
            body = response.json()
            error = CommandFailed(str(body["detail"]), str(body["code"]))
            if response.status_code == httpx2.codes.TOO_MANY_REQUESTS:
                delay_s = _parse_retry_after(response.headers.get("retry-after", ""))
                error = ServerBusy(error.detail, error.code, delay_s)
        except (ValueError, KeyError, TypeError):  # from a proxy or another service
            location = response.headers.get("location")
            redirect = f" and redirects to {location}" if location else ""
            status = f"{response.status_code} {response.reason_phrase}".strip()
            kind = Unreachable if response.is_server_error else CommandFailed
            error = kind(f"{self._server} answered {status}{redirect}", "bad_answer")
        raise error

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"no connection to {self._server}: {reason}", "unreachable") from error
        except h11.LocalProtocolError as error:  # more or fewer bytes than the file had when it was opened
            raise CommandFailed("the file changed during the upload", "input_changed") from error
        except (ValueError, KeyError, TypeError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise CommandFailed(f"{self._server} did not answer like bgremove", "bad_answer") from error


def _parse_retry_after(value: str) -> float:
    """Read Retry-After in seconds (RFC 9110, 10.2.3); its date form would need synchronised clocks."""
    try:
        return min(max(float(value), 0), MAX_RETRY_AFTER_S)
    except ValueError:
        return DEFAULT_RETRY_AFTER_S
