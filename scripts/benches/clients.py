"""HTTP clients of the servers under test: upload an image, wait, download the result."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import httpx2

from benches import BenchFailed
from benches.photos import Photo

POLL_S = 0.01
IMAGE_TIMEOUT_S = 120.0
FIRST_TIMEOUT_S = 600.0  # the first removal may include the model's download


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal: latency at the client, the server's timings (empty if it reports none), result size."""

    latency_ms: float
    timings_ms: dict[str, float]
    png_bytes: int


class Client(Protocol):
    """A context manager that holds one connection to one server."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def remove(self, photo: Photo, timeout_s: float = IMAGE_TIMEOUT_S) -> Removal:
        """Remove the background of a photo. Raises BenchFailed or httpx2.HTTPError."""


class _Connection:
    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx2.Client(trust_env=False, timeout=IMAGE_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class Bgremove(_Connection):
    """Client of this project's API; polls every `poll_s` seconds or, if None, follows the event stream."""

    def __init__(self, url: str, poll_s: float | None, options: Mapping[str, str]) -> None:
        super().__init__(url)
        self._poll_s = poll_s
        self._options = options

    def remove(self, photo: Photo, timeout_s: float = IMAGE_TIMEOUT_S) -> Removal:
        """Upload the photo, wait for the task's end, download the result."""
        start = time.perf_counter()
        upload = f"{self._url}/api/v1/remove/upload"
        response = self._http.post(upload, files=_form_file(photo), data=self._options)
        task_id: str = response.raise_for_status().json()["task_id"]
        if self._poll_s is None:
            self._follow(task_id)
        self._wait(task_id, start + timeout_s, self._poll_s or POLL_S)
        result = self._get_json(f"/api/v1/remove/result/{task_id}")
        png = self._http.get(self._url + result["result_url"]).raise_for_status().content
        latency_s = time.perf_counter() - start
        photo.check_cutout(png)
        return Removal(latency_s * 1000, result["timings_ms"], len(png))

    def _wait(self, task_id: str, deadline: float, poll_s: float) -> None:
        while (task := self._get_json(f"/api/v1/tasks/{task_id}"))["status"] != "complete":
            if task["status"] == "error":
                raise BenchFailed(task["message"])
            if time.perf_counter() > deadline:
                raise BenchFailed("The removal timed out.")
            time.sleep(poll_s)

    def _follow(self, task_id: str) -> None:
        with self._http.stream("GET", f"{self._url}/api/v1/remove/stream/{task_id}") as events:
            for _ in events.iter_raw():
                pass  # the stream ends with the task

    def _get_json(self, path: str) -> dict[str, Any]:
        body: dict[str, Any] = self._http.get(self._url + path).raise_for_status().json()
        return body


class Rembg(_Connection):
    """Client of rembg's API, which answers an upload with the result."""

    def remove(self, photo: Photo, timeout_s: float = IMAGE_TIMEOUT_S) -> Removal:
        """Upload the photo and receive the result of u2netp, the built-in model here."""
        start = time.perf_counter()
        form = {"model": "u2netp"}
        response = self._http.post(self._url, files=_form_file(photo), data=form, timeout=timeout_s)
        png = response.raise_for_status().content
        latency_s = time.perf_counter() - start
        photo.check_cutout(png)
        return Removal(latency_s * 1000, {}, len(png))


def _form_file(photo: Photo) -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("photo.jpg", photo.jpeg, "image/jpeg")}
