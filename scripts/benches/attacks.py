"""`bench.py attacks`: latency of /health while clients try to exhaust the server."""

import argparse
import base64
import contextlib
import io
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
from PIL import Image

from benches import BenchFailed, bench_server, positive_int
from benches.load_generator import poll_health

SECONDS = 5
GOAL_P99_MS = 50.0
TIMEOUT_S = 30.0
UPLOAD, REMOVEBG, URL_ROUTE = "/api/v1/remove/upload", "/v1.0/removebg", "/api/v1/remove/url"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}
HALF_HEAD = b"GET /api/v1/health HTTP/1.1\r\nHost: a\r\n"


class Attacker:
    """Sends requests to one server until the deadline, whatever the response."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url = url
        self._end_s = time.monotonic() + seconds

    def is_running(self) -> bool:
        """Return whether there is time left."""
        return time.monotonic() < self._end_s

    def post(self, path: str, clients: int, **request: Any) -> None:  # noqa: ANN401  # httpx2's
        """Repeat a POST request from several connections."""

        def repeat(_: int) -> None:
            with httpx2.Client(trust_env=False, timeout=TIMEOUT_S) as http:
                while self.is_running():
                    with contextlib.suppress(httpx2.HTTPError):
                        http.post(self.url + path, **request)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(repeat, range(clients)))

    def connect(self, count: int, first: bytes, then: bytes = b"") -> None:
        """Keep connections open that have sent `first`; send `then` every 100 ms, and read nothing."""
        address = (urlsplit(self.url).hostname or "", urlsplit(self.url).port or 80)
        with contextlib.ExitStack() as stack:
            connections = []
            for _ in range(count):
                with contextlib.suppress(OSError):
                    connection = stack.enter_context(socket.create_connection(address, TIMEOUT_S))
                    connection.sendall(first)
                    connection.settimeout(0)
                    connections.append(connection)
            while self.is_running():
                time.sleep(0.1)
                for connection in connections if then else ():
                    with contextlib.suppress(OSError):
                        connection.send(then)


def _send_long_texts(attacker: Attacker) -> None:
    attacker.post(REMOVEBG, 4, content=b"crop_margin=" + b"1%25+" * 600_000, headers=FORM)


def _send_long_names(attacker: Attacker) -> None:
    attacker.post(REMOVEBG, 4, content=b"a" * 90_000_000 + b"=1", headers=FORM)


def _send_deep_json(attacker: Attacker) -> None:
    attacker.post(URL_ROUTE, 4, content=b"[" * 3_000_000, headers=JSON)


def _send_large_base64(attacker: Attacker) -> None:
    text = base64.b64encode(bytes(20_000_000))
    attacker.post(REMOVEBG, 4, content=b"image_file_b64=" + text.replace(b"+", b"%2B"), headers=FORM)


def _send_many_fields(attacker: Attacker) -> None:
    boundary = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    attacker.post(UPLOAD, 4, content=boundary * 100_000 + b"--b--\r\n", headers=headers)


def _send_large_canvases(attacker: Attacker) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (9990, 9990)).save(out, "WEBP", lossless=True, method=0)
    attacker.post(UPLOAD, 4, files={"file": out.getvalue()}, data={"format": "webp"})


def _send_empty_blocks(attacker: Attacker) -> None:
    out = io.BytesIO()
    Image.new("P", (8, 8)).save(out, "GIF")
    head, frame = out.getvalue().split(b"," + bytes(4), 1)
    attacker.post(UPLOAD, 4, files={"file": head + b"\x21\xfe\0" * 5_000_000 + b"," + bytes(4) + frame})


def _upload_and_cancel(attacker: Attacker) -> None:
    out = io.BytesIO()
    Image.effect_noise((3000, 2000), 90).convert("RGB").save(out, "JPEG")

    def repeat(_: int) -> None:
        with httpx2.Client(trust_env=False, timeout=TIMEOUT_S) as http:
            while attacker.is_running():
                with contextlib.suppress(httpx2.HTTPError, KeyError):
                    reply = http.post(attacker.url + UPLOAD, files={"file": out.getvalue()})
                    http.post(f"{attacker.url}/api/v1/tasks/{reply.json()['task_id']}/cancel")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(repeat, range(4)))


def _send_large_bodies(attacker: Attacker) -> None:
    attacker.post(REMOVEBG, 16, content=bytes(20_000_000), headers=OCTETS)


def _send_half_heads(attacker: Attacker) -> None:
    attacker.connect(1000, HALF_HEAD, b"X: y\r\n")


def _never_read(attacker: Attacker) -> None:
    attacker.connect(200, (HALF_HEAD + b"\r\n") * 500, (HALF_HEAD + b"\r\n") * 20)


def _send_refused_urls(attacker: Attacker) -> None:
    attacker.post(URL_ROUTE, 8, json={"url": "https://127.0.0.1:1/a.png"})


def _try_tokens(attacker: Attacker) -> None:
    attacker.post("/api/v1/remove/load", 8, headers={"Authorization": b"Bearer \xe9"})


ATTACKS: dict[str, Callable[[Attacker], None]] = {
    "none": lambda attacker: attacker.connect(0, b""),
    "texts of 3 MB": _send_long_texts,
    "names of 90 MB": _send_long_names,
    "JSON nested 3 million times": _send_deep_json,
    "base64 of 27 MB": _send_large_base64,
    "100,000 form fields": _send_many_fields,
    "small files, large canvases": _send_large_canvases,
    "GIF of 5 million blocks": _send_empty_blocks,
    "upload and cancel": _upload_and_cancel,
    "bodies of 20 MB, 16 clients": _send_large_bodies,
    "1,000 half heads": _send_half_heads,
    "200 clients that never read": _never_read,
    "refused URLs": _send_refused_urls,
    "wrong tokens": _try_tokens,
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `attacks`."""
    parser.add_argument(
        "--only", choices=ATTACKS, nargs="+", default=list(ATTACKS), help="some of the attacks"
    )
    parser.add_argument(
        "--seconds", type=positive_int, default=SECONDS, help=f"duration of each attack (default {SECONDS})"
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, print a table, and return the latencies in milliseconds. Raises BenchFailed."""
    report = {}
    print(f"{'/health in ms during':32}{'p50':>8}{'p99':>8}{'max':>8}   (goal: p99 below {GOAL_P99_MS:.0f})")
    for name in arguments.only:
        try:
            with bench_server.run_server() as server:
                report[name] = figures = _measure(server.url, name, arguments.seconds)
        except httpx2.HTTPError as error:
            raise BenchFailed(f"/health failed during {name!r}: {error}") from error
        print(f"{name:32}{figures['p50']:8.1f}{figures['p99']:8.1f}{figures['max']:8.1f}", flush=True)
    return report


def _measure(url: str, name: str, seconds: int) -> dict[str, float]:
    # A process of its own: the attack's threads would delay the measuring one.
    attack = multiprocessing.get_context("spawn").Process(target=_attack, args=(url, name, seconds))
    with poll_health(url) as latencies:
        attack.start()
        attack.join()
    ordered = sorted(latencies)
    p99 = ordered[round((len(ordered) - 1) * 0.99)]
    return {"asked": len(ordered), "p50": statistics.median(ordered), "p99": p99, "max": ordered[-1]}


def _attack(url: str, name: str, seconds: int) -> None:
    os.nice(10)  # attackers are on other machines
    ATTACKS[name](Attacker(url, seconds))
