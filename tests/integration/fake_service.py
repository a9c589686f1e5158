"""Fake HTTP service with scripted responses, for tests of its clients."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TASK_ID = "bgremove_0123456789abcdef"
STREAMS = {f"/api/v1/remove/stream/{TASK_ID}", f"/api/v1/env/install/stream/{TASK_ID}"}
CUTOUT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
RESULT = {
    "result_url": "/api/v1/files/cutout",
    "width": 640,
    "height": 480,
    "subject": True,
    "coverage": 0.25,
    "box": [10, 20, 300, 400],
    "frame": [0, 0, 640, 480],
    "scale_factor": 1.0,
    "warnings": [],
    "model_id": "builtin",
    "device": "cpu",
    "timings_ms": {"total": 12.5},
}


def state(status: str, percent: float, message: str, code: str | None = None) -> dict[str, Any]:
    """Return one state of the task, as in the event stream and in GET /tasks/ID."""
    return {
        "task_id": TASK_ID,
        "status": status,
        "percent": percent,
        "message": message,
        "logs": [],
        "code": code,
    }


QUEUED = state("queued", 0, "Waiting")
RUNNING = state("running", 40, "Removing the background")
COMPLETE = state("complete", 100, "Done")


@dataclass
class Script:
    """The scripted behaviour of the service, and a record of the requests."""

    states: list[dict[str, Any]] = field(default_factory=lambda: [QUEUED, RUNNING, COMPLETE])
    drops: int = 0  # number of event streams that break off before their last event
    hold_stream: bool = False  # the event stream stays open without further events
    refusal: tuple[int, dict[str, str]] | None = None  # the response to an upload
    refused_part: bytes = b""  # only uploads that contain these bytes are refused
    busy: int = 0  # number of uploads that meet a full queue before one is accepted
    slow_s: float = 0  # duration of a task
    nothing_to_do: bool = False  # no package needs an install
    problem: str | None = None  # of torch, after the install
    broken: bool = False  # the problem prevents BiRefNet from running
    result: dict[str, Any] = field(default_factory=lambda: dict(RESULT))
    presets: dict[str, dict[str, str]] = field(default_factory=dict)
    truncated_download: bool = False
    streams: int = 0
    uploads: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    deleted: int = 0  # number of results that the client deleted
    cancelled: list[str] = field(default_factory=list)
    concurrent: int = 0
    max_concurrent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    tokens: set[str | None] = field(default_factory=set)
    ending: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def do_POST(self) -> None:
        self.script.tokens.add(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.script.lock:
            self.script.uploads.append(body)
            self.script.paths.append(self.path)
            self.script.busy, busy = max(self.script.busy - 1, 0), self.script.busy
        if busy:
            self._json(429, {"detail": "The queue is full.", "code": "queue_full"}, {"Retry-After": "1"})
        elif self.script.refusal and self.script.refused_part in body:
            self._json(*self.script.refusal)
        else:
            self._json(200, {"task_id": None if self.script.nothing_to_do else TASK_ID})

    def do_DELETE(self) -> None:
        if self.path == f"/api/v1/remove/result/{TASK_ID}":
            self.script.deleted += 1
            self.send_response(204)
            self.end_headers()
            return
        self.script.cancelled.append(self.path)
        self.script.ending.set()
        self._json(200, state("error", 40, "The task was cancelled.", "cancelled"))

    def do_GET(self) -> None:
        self.script.tokens.add(self.headers["Authorization"])
        if self.path in STREAMS:
            self._stream()
        elif self.path == "/api/v1/health":
            self._json(200, {"status": "ok"})
        elif self.path == "/api/v1/presets":
            self._json(200, self.script.presets)
        elif self.path == "/api/v1/env/status":
            modules = [{"module": "torch", "problem": self.script.problem}]
            self._json(200, {"ready": not self.script.broken, "modules": modules})
        elif self.path == f"/api/v1/tasks/{TASK_ID}":
            self._json(200, {**RUNNING, "logs": self.script.states[-1]["logs"]})
        elif self.path == f"/api/v1/remove/result/{TASK_ID}":
            self._json(200, self.script.result)
        elif self.path == RESULT["result_url"]:
            self._file()
        else:
            self._json(404, {"detail": "There is nothing by that name.", "code": "not_found"})

    def _stream(self) -> None:
        self.script.streams += 1
        dropped = self.script.streams <= self.script.drops
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if self.script.streams == 1:  # shorter than its Content-Length; later ones just end
            self.send_header("Content-Length", "100000")
        self.end_headers()
        with self.script.lock:
            self.script.concurrent += 1
            self.script.max_concurrent = max(self.script.max_concurrent, self.script.concurrent)
        time.sleep(self.script.slow_s)
        with self.script.lock:
            self.script.concurrent -= 1
        for each in self.script.states[: -1 if dropped else None]:
            self.wfile.write(f"data: {json.dumps(each)}\n\n".encode())
        if self.script.hold_stream:
            self.script.ending.wait(60)
        if self.script.cancelled:
            cancelled = state("error", 40, "The task was cancelled.", "cancelled")
            self.wfile.write(f"data: {json.dumps(cancelled)}\n\n".encode())

    def _file(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(CUTOUT)))
        self.end_headers()
        self.wfile.write(CUTOUT[:1000] if self.script.truncated_download else CUTOUT)

    def _json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: tests compare the command's output."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect early, as tests do."""


@contextmanager
def fake_service(script: Script) -> Iterator[str]:
    """Run the service on a free port and yield its URL."""
    handler = type("Handler", (_Handler,), {"script": script})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            script.ending.set()
            server.shutdown()
            thread.join()
