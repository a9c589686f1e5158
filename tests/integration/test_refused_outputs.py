"""Outputs that cannot be had, or not so: refused in a sentence that names the field."""

import pytest
from PIL import Image

from tests.photos import encoded, opened, wish
from tests.service import Service


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"background": "#12345"}, "'background'"),
        ({"background": "rgb(1,2,3)"}, "CSS colour name"),
        ({"background": "blurple"}, "CSS colour name"),
        ({"shadow_colour": "#12345"}, "'shadow_colour'"),
        ({"shadow_opacity": "101"}, "'shadow_opacity'"),
        ({"margin": "a lot"}, "'margin'"),
        ({"crop_margin": "a lot"}, "'margin'"),  # its name up to version 0.1
        ({"canvas": "20 x"}, "'canvas'"),
        ({"scale": "9%"}, "'scale'"),
        ({"position": "left"}, "'position'"),
        ({"roi": "0 0 100%"}, "'roi'"),
        ({"preset": "shop"}, "'preset'"),
        ({"max_size": "15"}, "'max_size'"),
        ({"quality": "101"}, "'quality'"),
        ({"format": "tiff"}, "'format'"),
        ({"background_file": "beach.jpg"}, "'background_file'"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(fake: Service, options: dict[str, str], text: str) -> None:
    """Before the photo waits in the queue, in a sentence that names the field."""
    before = len(fake.client.get("/tasks").json())
    answer = fake.client.post("/remove/upload", files={"file": ("x.png", wish())}, data=options)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
    assert text in answer.json()["detail"]
    assert len(fake.client.get("/tasks").json()) == before


def test_a_colour_and_an_image_exclude_each_other(fake: Service) -> None:
    """One of them would be dropped in silence."""
    answer = fake.upload_over(wish(), wish(), background="red")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
    assert "not both" in answer.json()["detail"]


def test_a_background_that_is_no_image_is_refused_by_name(service: Service, astronaut: bytes) -> None:
    """At once by its first bytes, or by the worker when it turns out to be damaged."""
    answer = service.upload_over(astronaut, b"hello")
    assert (answer.status_code, answer.json()["code"]) == (415, "not_an_image")
    assert "'background_file'" in answer.json()["detail"]
    answer = service.upload_over(astronaut, astronaut[:3000])
    task = service.finished(answer.json()["task_id"])
    assert task["code"] == "damaged_image"
    assert "'background_file'" in task["message"]


def test_a_url_goes_without_a_background_file(fake: Service) -> None:
    """JSON carries no file, and the answer says where it can be sent."""
    for value in ("aGVsbG8=", None):
        body = {"url": "http://example.com/a.png", "background_file": value}
        answer = fake.client.post("/remove/url", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
        assert "upload" in answer.json()["detail"]


def test_a_result_too_large_for_its_format_says_what_to_do(service: Service) -> None:
    """WebP ends at 16383 pixels a side."""
    panorama = encoded(Image.new("RGB", (17_000, 16), "gray"))
    task = service.finished(service.upload(panorama, format="webp"))
    assert task["code"] == "result_too_large"
    assert "16,383" in task["message"]
    assert opened(service.cut(panorama, format="webp", max_size="16000")).size == (16_000, 15)
