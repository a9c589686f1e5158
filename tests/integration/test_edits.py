"""Masks that clients send, and edits of finished removals, through HTTP and the real worker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.photos import encoded, opened, wish
from tests.service import Service, running

SIZE = (60, 40)
PHOTO = encoded(Image.new("RGB", SIZE, "teal"), "PNG")


def make_mask(size: tuple[int, int] = SIZE, mode: str = "L") -> bytes:
    """Return a mask of a photo of that size: the left half opaque; as its grey, or as its alpha."""
    grey = Image.new("L", size, 0)
    grey.paste(255, (0, 0, size[0] // 2, size[1]))
    if mode == "L":
        return encoded(grey, "PNG")
    picture = Image.new("RGBA", size, "white")
    picture.putalpha(grey)
    return encoded(picture, "PNG")


def post(service: Service, path: str, files: dict[str, bytes], **options: str) -> dict[str, Any]:
    """Send a form, wait for the removal, and return its result."""
    answer = service.client.post(
        path, files={name: (f"{name}.png", content) for name, content in files.items()}, data=options
    )
    assert answer.status_code == 200, answer.text
    task_id = answer.json()["task_id"]
    service.finished(task_id)
    result: dict[str, Any] = service.client.get(f"/remove/result/{task_id}").json()
    return result


def edit(service: Service, before: dict[str, Any], files: dict[str, bytes], **options: str) -> dict[str, Any]:
    """Edit a finished removal, and return the new result."""
    return post(service, f"/remove/edit/{before['task_id']}", files, **options)


def download(service: Service, result: dict[str, Any], name: str = "result") -> Image.Image:
    """Return a picture of a result."""
    return opened(service.client.get(result[f"{name}_url"].removeprefix("/api/v1")).content)


def alpha_of(image: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an image's alpha."""
    return np.asarray(image.convert("RGBA").getchannel("A"))


def test_a_mask_is_the_matte_of_the_result(service: Service) -> None:
    """Who has a mask already needs no network: its grey or its alpha, at any scale."""
    for mask in (make_mask(), make_mask(mode="RGBA")):
        result = post(service, "/remove/upload", {"file": PHOTO, "mask_file": mask})
        assert result["model_id"] == "mask"
        alpha = alpha_of(download(service, result))
        assert (alpha[:, :30] == 255).all()
        assert (alpha[:, 30:] == 0).all()
    scaled = post(service, "/remove/upload", {"file": PHOTO, "mask_file": make_mask((30, 20))})
    alpha = alpha_of(download(service, scaled))
    assert alpha.shape == (40, 60)
    assert (alpha[:, :26] == 255).all()
    assert (alpha[:, 34:] == 0).all()


def test_a_mask_of_another_shape_is_refused_with_both_sizes(service: Service) -> None:
    """It would be stretched over the photo."""
    error = post(service, "/remove/upload", {"file": PHOTO, "mask_file": make_mask((60, 60))})
    assert error["code"] == "mask_size_mismatch"
    assert "60 x 60" in error["detail"]
    assert "60 x 40" in error["detail"]


def test_an_edit_keeps_the_matte_and_the_options_that_it_does_not_name(service: Service) -> None:
    """A new background must not lose what was chosen before, nor infer again."""
    photo = (SAMPLES / "astronaut.jpg").read_bytes()
    first = post(service, "/remove/upload", {"file": photo}, max_size="200")
    assert download(service, first, "alpha").size == (512, 512)
    red = edit(service, first, {}, background="#ff0000")
    assert red["model_id"] == "mask"
    assert download(service, red).size == (200, 200)
    assert download(service, red).convert("RGB").getpixel((2, 2)) == (255, 0, 0)
    again = edit(service, red, {}, background="", max_size="")
    full = post(service, "/remove/upload", {"file": photo})
    assert np.array_equal(np.asarray(download(service, again)), np.asarray(download(service, full)))
    before, after = (np.asarray(download(service, each, "alpha")) for each in (first, again))
    assert np.array_equal(before, after)


def test_an_edit_with_a_mask_replaces_the_matte(service: Service) -> None:
    """A program that corrects the alpha sends it back."""
    first = post(service, "/remove/upload", {"file": PHOTO, "mask_file": make_mask()})
    inverse = encoded(opened(make_mask()).point(lambda value: 255 - value), "PNG")
    second = edit(service, first, {"mask_file": inverse})
    assert (alpha_of(download(service, second))[:, 30:] == 255).all()


def test_a_background_image_stays_until_another_background_is_chosen(service: Service) -> None:
    """An edit of the format alone would otherwise lose it."""
    green = encoded(Image.new("RGB", (8, 8), (0, 255, 0)), "PNG")
    files = {"file": PHOTO, "mask_file": make_mask(), "background_file": green}
    first = post(service, "/remove/upload", files)
    for options, corner in (({"format": "webp"}, (0, 255, 0)), ({"background": "#0000ff"}, (0, 0, 255))):
        result = edit(service, first, {}, lossless="true", **options)
        assert download(service, result).convert("RGB").getpixel((55, 5)) == corner
    assert download(service, edit(service, first, {}, background="")).mode == "RGBA"


def test_edits_of_what_is_not_there_are_refused(fake: Service) -> None:
    """A page that is left open must be able to say why."""
    unknown = "bgremove_" + "0" * 32
    assert fake.client.post(f"/remove/edit/{unknown}", data={"crop": "true"}).status_code == 404
    task_id = fake.upload(wish("sleep 3"))
    running_answer = fake.client.post(f"/remove/edit/{task_id}", data={"crop": "true"})
    assert (running_answer.status_code, running_answer.json()["code"]) == (409, "still_running")
    fake.finished(task_id)
    fake.client.delete(f"/remove/result/{task_id}")
    assert fake.client.post(f"/remove/edit/{task_id}", data={"crop": "true"}).status_code == 410


def test_an_edit_survives_a_restart(data_dir: Path, tmp_path: Path) -> None:
    """What was answered for before the restart can be edited after it."""
    with running(data_dir, tmp_path / "temp") as service:
        first = post(service, "/remove/upload", {"file": PHOTO, "mask_file": make_mask()}, crop="true")
        service.end()
    with running(data_dir, tmp_path / "temp") as service:
        second = edit(service, first, {}, background="white")
        assert download(service, second).size == (30, 40)


def test_a_repeated_edit_gets_the_same_task(service: Service) -> None:
    """A client that lost the answer asks again."""
    first = post(service, "/remove/upload", {"file": PHOTO, "mask_file": make_mask()})
    path, headers = f"/remove/edit/{first['task_id']}", {"Idempotency-Key": f"edit {first['task_id']}"}
    answers = [
        service.client.post(path, data={"background": "white"}, headers=headers).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]


def test_a_mask_may_be_at_a_url(start: Callable[..., Service], pictures: str) -> None:
    """A program that names its photo by URL has its mask at one, too."""
    service = start(url_allow_private=True)
    body = {"url": f"{pictures}/blue.png", "mask_url": f"{pictures}/blue.png"}
    task_id = service.client.post("/remove/url", json=body).json()["task_id"]
    assert service.finished(task_id)["status"] == "complete"
    result = service.client.get(f"/remove/result/{task_id}").json()
    assert result["model_id"] == "mask"
    blue_in_grey = 29
    assert (alpha_of(download(service, result)) == blue_in_grey).all()


@pytest.mark.parametrize(("busy", "idle"), [("birefnet", "builtin"), ("builtin", "birefnet")])
def test_a_job_without_a_model_goes_to_the_worker_with_the_least_to_do(
    start_fleet: Callable[..., Service], busy: str, idle: str
) -> None:
    """It would wait for the others' photos, though another model's worker has time."""
    service = start_fleet("cpu")
    for model in (busy, idle):
        service.cut(wish(), model=model)
    for _ in range(2):
        service.upload(wish("sleep 60"), model=busy)
    files = {"file": ("a.png", wish("")), "mask_file": ("mask.png", make_mask())}
    for _ in range(3):
        task_id = service.client.post("/remove/upload", files=files).json()["task_id"]
        assert service.finished(task_id)["status"] == "complete"
