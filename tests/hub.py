"""A fake model hub with one repository: the routes that `huggingface_hub` uses, with fault injection."""

import hashlib
import json
import random
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPO_ID = "ZhengPeng7/BiRefNet"
WEIGHTS = "model.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHUNK = 16_384


def weights(size: int = 1_000_000) -> bytes:
    """Return a safetensors file of noise."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + random.Random(5).randbytes(size)


def files() -> dict[str, bytes]:
    """Return the files of a repository of the BiRefNet family."""
    return {
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "README.md": b"# BiRefNet\n",
        "birefnet.py": b"raise ImportError('code from the hub')\n",
        "config.json": b'{"bb_pretrained": false}\n',
        WEIGHTS: weights(),
        f"onnx/{WEIGHTS}": b"not for us",
    }


@dataclass
class Fault:
    """A fault of one response with weights, after a number of bytes."""

    kind: str  # "status", "cut", "reset", "stall", "corrupt" or "short"
    after: int = 0
    status: int = 503


@dataclass
class Hub:
    """The hub's contents, its faults, and the requests it got."""

    repo_id: str = REPO_ID
    commit: str = COMMIT  # of every branch
    files: dict[str, bytes] = field(default_factory=files)
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)  # overrides in the listing
    refusal: tuple[int, dict[str, str]] | None = None  # the response to every listing request
    api_statuses: list[int] = field(default_factory=list)  # the statuses of the first ones
    login_page: bool = False
    ranges: bool = True  # whether the storage supports range requests
    faults: list[Fault] = field(default_factory=list)  # one for each request for weights, in order
    released: threading.Event = field(default_factory=threading.Event)  # ends stalls
    paths: list[str] = field(default_factory=list)
    tokens: dict[str, set[str | None]] = field(default_factory=dict)  # by route
    starts: list[int] = field(default_factory=list)  # the start offset of each response with weights
    sent: int = 0  # bytes of weights
    url: str = ""

    def reset(self) -> None:
        """Reset to the initial state, at the same address."""
        self.released.set()
        fresh = Hub(url=self.url)
        for name in vars(fresh):
            setattr(self, name, getattr(fresh, name))

    def etag(self, name: str) -> str:
        """Return the name of a file's blob."""
        content = self.files[name]
        if name.endswith(".safetensors"):
            return str(self.claims.get(name, {}).get("sha256") or hashlib.sha256(content).hexdigest())
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

    def size(self, name: str) -> int:
        """Return a file's size in the listing."""
        return int(self.claims.get(name, {}).get("size") or len(self.files[name]))

    def asked_for(self, name: str) -> int:
        """Return the number of requests for a file's bytes."""
        return sum(
            path.startswith(f"GET /{self.repo_id}/resolve/{self.commit}/{name}") for path in self.paths
        )


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self.hub.paths.append(f"{self.command} {path}")
        route = "storage" if path.startswith("/storage/") else "hub"
        self.hub.tokens.setdefault(route, set()).add(self.headers["Authorization"])
        if match := re.fullmatch(rf"/api/models/{self.hub.repo_id}/revision/[^/]+", path):
            self._listing()
        elif re.fullmatch(rf"/api/models/{self.hub.repo_id}/tree/[^/]+", path):
            self._json([self._entry(name) for name in self.hub.files])
        elif match := re.fullmatch(rf"/{self.hub.repo_id}/resolve/[^/]+/(.+)", path):
            self._resolve(match[1])
        elif match := re.fullmatch(r"/storage/(.+)", path):
            self._send(match[1])
        else:
            self._json({"error": "Not Found"}, 404)

    def _listing(self) -> None:
        if self.hub.api_statuses:
            self._json({"error": "busy"}, self.hub.api_statuses.pop(0))
        elif self.hub.refusal:
            status, headers = self.hub.refusal
            self._json({"error": "refused"}, status, headers)
        elif self.hub.login_page:
            self._reply(200, b"<html>Welcome to our hotel</html>", {"Content-Type": "text/html"})
        else:
            blobs = parse_qs(urlsplit(self.path).query).get("blobs") is not None
            siblings = [self._sibling(name) if blobs else {"rfilename": name} for name in self.hub.files]
            self._json({"id": self.hub.repo_id, "sha": self.hub.commit, "siblings": siblings})

    def _sibling(self, name: str) -> dict[str, Any]:
        size = self.hub.size(name)
        sibling: dict[str, Any] = {"rfilename": name, "size": size, "blobId": "f" * 40}
        if name.endswith(".safetensors"):
            sibling["lfs"] = {"sha256": self.hub.etag(name), "size": size, "pointerSize": 134}
        else:
            sibling["blobId"] = self.hub.etag(name)
        return sibling

    def _entry(self, name: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": name, "size": self.hub.size(name), "oid": "f" * 40}
        if name.endswith(".safetensors"):
            entry["lfs"] = {"oid": self.hub.etag(name), "size": self.hub.size(name), "pointerSize": 134}
        else:
            entry["oid"] = self.hub.etag(name)
        return entry

    def _resolve(self, name: str) -> None:
        if name not in self.hub.files:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": self.hub.commit, "ETag": f'"{self.hub.etag(name)}"'}
        if not name.endswith(".safetensors"):
            self._reply(200, self.hub.files[name], headers)
            return
        # Another host name, as the real storage has: the hub's token must not reach it.
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        headers |= {
            "X-Linked-Size": str(self.hub.size(name)),
            "X-Linked-Etag": f'"{self.hub.etag(name)}"',
            "Location": f"{elsewhere}/storage/{name}?signature=good-for-a-minute",
        }
        self._reply(302, b"", headers)

    def _send(self, name: str) -> None:
        fault = self.hub.faults.pop(0) if self.hub.faults else Fault("none")
        if fault.kind == "status":
            self._json({"error": "broken"}, fault.status)
            return
        content = self.hub.files[name]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(asked[1]) if asked and self.hub.ranges else 0
        if start >= len(content):
            self._json({"error": "range"}, 416)
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(fault.after if fault.kind == "short" else len(body)))
        self.end_headers()
        self.hub.starts.append(start)
        self._stream(body, fault)

    def _stream(self, body: bytes, fault: Fault) -> None:
        released = self.hub.released
        if fault.kind == "corrupt":
            body = body[: fault.after] + bytes([body[fault.after] ^ 1]) + body[fault.after + 1 :]
        limit = fault.after if fault.kind in ("cut", "reset", "stall", "short") else len(body)
        for begin in range(0, limit, CHUNK):
            chunk = body[begin : min(begin + CHUNK, limit)]
            self.wfile.write(chunk)
            self.hub.sent += len(chunk)
        if fault.kind == "stall":
            released.wait(60)
            self.wfile.write(body[limit:])
            self.hub.sent += len(body) - limit
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        all_headers = {"Content-Type": "application/json", **(headers or {})}
        self._reply(status, json.dumps(body).encode(), all_headers)

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Do not log."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore disconnected clients, which are part of the tests."""


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub on a free port inside the context."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with _Server(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.released.set()
            server.shutdown()
            thread.join()
