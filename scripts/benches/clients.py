"""What a client does with each server: send a photo, and hold the whole cutout."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import httpx2

from benches import BenchFailed
from benches.photos import Photo

POLL_S = 0.01
IMAGE_TIMEOUT_S = 120.0
FETCH_TIMEOUT_S = 600.0  # the first removal may have to fetch the model


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal as its client saw it, and what the server says of its steps (empty where it is silent)."""

    latency_ms: float
    timings_ms: dict[str, float]
    png_bytes: int


class Client(Protocol):
    """One connection to one server; ends with its `with`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def remove(self, photo: Photo, timeout_s: float = IMAGE_TIMEOUT_S) -> Removal:
        """Cut a photo out. Raises BenchFailed or httpx2.HTTPError."""


class _Connection:
    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx2.Client(trust_env=False, timeout=IMAGE_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class Bgremove(_Connection):
    """This project's API. A removal's end is noticed by asking every `poll_s` seconds, or from its stream."""

    def __init__(self, url: str, poll_s: float | None, options: Mapping[str, str]) -> None:
        super().__init__(url)
        self._poll_s = poll_s
        self._options = options

    def remove(self, photo: Photo, timeout_s: float = IMAGE_TIMEOUT_S) -> Removal:
        """Upload, wait for the end, fetch the cutout."""
        start = time.perf_counter()
        upload = f"{self._url}/api/v1/remove/upload"
        sent = self._http.post(upload, files=_form_file(photo), data=self._options)
        task_id: str = sent.raise_for_status().json()["task_id"]
        if self._poll_s is None:
            self._follow(task_id)
        self._wait(task_id, start + timeout_s, self._poll_s or POLL_S)
        result = self._json(f"/api/v1/remove/result/{task_id}")
        png = self._http.get(self._url + result["result_url"]).raise_for_status().content
        latency_s = time.perf_counter() - start
        photo.check_cutout(png)
        return Removal(latency_s * 1000, result["timings_ms"], len(png))

    def _wait(self, task_id: str, deadline: float, poll_s: float) -> None:
        while (task := self._json(f"/api/v1/tasks/{task_id}"))["status"] != "complete":
            if task["status"] == "error":
                raise BenchFailed(task["message"])
            if time.perf_counter() > deadline:
                raise BenchFailed("The removal did not end in time.")
            time.sleep(poll_s)

    def _follow(self, task_id: str) -> None:
        with self._http.stream("GET", f"{self._url}/api/v1/remove/stream/{task_id}") as events:
            for _ in events.iter_raw():
                pass  # it ends with the removal

    def _json(self, path: str) -> dict[str, Any]:
        body: dict[str, Any] = self._http.get(self._url + path).raise_for_status().json()
        return body


class Rembg(_Connection):
    """rembg's API, which answers a photo with its cutout."""

    def remove(self, photo: Photo, timeout_s: float = IMAGE_TIMEOUT_S) -> Removal:
        """Send the photo and receive the cutout, by the same model as ours."""
        start = time.perf_counter()
        form = {"model": "u2netp"}
        reply = self._http.post(self._url, files=_form_file(photo), data=form, timeout=timeout_s)
        png = reply.raise_for_status().content
        latency_s = time.perf_counter() - start
        photo.check_cutout(png)
        return Removal(latency_s * 1000, {}, len(png))


def _form_file(photo: Photo) -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("photo.jpg", photo.jpeg, "image/jpeg")}
