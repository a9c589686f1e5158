"""The option `preset`, from the settings to the result."""

import os
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from tests.conftest import SAMPLES
from tests.photos import encoded, opened, wish
from tests.service import ROOT, SUPERVISOR, Service

SHOP = '[shop]\nformat = "webp"\nmax_size = 40\n'


def test_presets_are_offered_with_their_options(start: Callable[..., Service], tmp_path: Path) -> None:
    """The page and the command line choose from them."""
    path = tmp_path / "presets.toml"
    path.write_text(SHOP)
    service = start(presets=path)
    options: list[dict[str, Any]] = service.client.get("/options").json()
    (preset,) = [option for option in options if option["name"] == "preset"]
    assert preset["choices"] == ["marketplace", "product-shadow", "avatar", "shop"]
    assert service.client.get("/presets").json()["shop"] == {"format": "webp", "max_size": 40}


def test_a_preset_sets_the_options_of_an_upload(service: Service, astronaut: bytes) -> None:
    """Those that are sent as well take precedence."""
    image = opened(service.cut(astronaut, preset="marketplace", canvas="200x100"))
    assert (image.format, image.size, image.getpixel((0, 0))) == ("JPEG", (200, 100), (255, 255, 255))
    image = opened(service.cut(astronaut, preset="marketplace", canvas="200x100", format="png"))
    assert (image.format, image.size) == ("PNG", (200, 100))


def test_a_shadow_fits_on_the_canvas_of_marketplace(service: Service) -> None:
    """One that is cut off at the edge looks like a mistake of the shop's."""
    cat = (SAMPLES / "cat.jpg").read_bytes()
    image = opened(service.cut(cat, preset="marketplace", shadow="ground")).convert("L")
    for edge in ((0, 0, 2000, 1), (0, 1999, 2000, 2000), (0, 0, 1, 2000), (1999, 0, 2000, 2000)):
        assert image.crop(edge).getextrema() == (255, 255), edge


def test_a_background_image_replaces_that_of_a_preset(service: Service, astronaut: bytes) -> None:
    """The operator's white is not the request's."""
    red = encoded(Image.new("RGB", (8, 8), "red"))
    answer = service.upload_over(astronaut, red, preset="marketplace", canvas="200x100", format="png")
    task_id = answer.json()["task_id"]
    assert service.finished(task_id)["status"] == "complete"
    result = service.client.get(f"/remove/result/{task_id}").json()
    image = Image.open(BytesIO(service.client.get(result["result_url"].removeprefix("/api/v1")).content))
    assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_an_unknown_preset_is_refused_with_the_names(fake: Service) -> None:
    """By each of the two ways to send one."""
    sent = {"data": {"preset": "shop"}, "files": {"file": ("x.png", wish())}}
    for answer in (
        fake.client.post("/remove/upload", **sent),  # type: ignore[arg-type]
        fake.client.post("/remove/url", json={"url": "http://example.com/a.png", "preset": "shop"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
        assert "'preset'" in answer.json()["detail"]
        assert "marketplace, product-shadow, avatar" in answer.json()["detail"]


def test_the_service_does_not_start_with_an_invalid_preset(tmp_path: Path) -> None:
    """One line names the setting, the file, the preset and the option."""
    path = tmp_path / "presets.toml"
    path.write_text(SHOP.replace("max_size", "maximum"))
    done = subprocess.run(
        [*SUPERVISOR, "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "BGREMOVE_PRESETS": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert f"BGREMOVE_PRESETS: {path}, preset 'shop': option 'maximum' is not known" in line
