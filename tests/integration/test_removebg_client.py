"""remove.bg's route as a public client of that service, from PyPI, calls it: only the address is another."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import removebg.removebg
import requests

from tests.conftest import SAMPLES
from tests.photos import corner, opened
from tests.service import REMEMBERS, Service, running

KEY = "s3cret"


@pytest.fixture(scope="module")
def service(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token, which the client takes for remove.bg."""
    settings: dict[str, Any] = {"token": KEY, "url_allow_private": True, "builtin_worker": REMEMBERS}
    with (
        running(data_dir, tmp_path_factory.mktemp("removebg") / "temp", **settings) as service,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(removebg.removebg, "API_ENDPOINT", f"{service.url}/v1.0/removebg")
        yield service


def client(key: str, folder: Path) -> removebg.RemoveBg:
    """Return the client, with the file in which it notes errors."""
    return removebg.RemoveBg(key, str(folder / "error.log"))


@pytest.mark.usefixtures("service")
def test_a_file_comes_back_without_its_background(tmp_path: Path) -> None:
    """The first example of the client's documentation."""
    photo = Path(shutil.copy(SAMPLES / "cat.jpg", tmp_path))
    client(KEY, tmp_path).remove_background_from_img_file(str(photo))
    cutout = opened(Path(f"{photo}_no_bg.png").read_bytes())
    width, height = opened(photo.read_bytes()).size
    assert cutout.mode == "RGBA"
    assert cutout.width / cutout.height == pytest.approx(width / height, rel=0.01)
    assert cutout.getchannel("A").getextrema() == (0, 255)


@pytest.mark.usefixtures("service")
def test_base64_and_a_colour_behind(tmp_path: Path) -> None:
    """Its other way to send a photo, and its other option."""
    photo, result = base64.b64encode((SAMPLES / "cat.jpg").read_bytes()).decode(), tmp_path / "result.png"
    client(KEY, tmp_path).remove_background_from_base64_img(
        photo, size="auto", new_file_name=str(result), bg_color="00ff00"
    )
    assert corner(opened(result.read_bytes())) == pytest.approx([0, 255, 0], abs=4)


def test_an_address_is_fetched(service: Service, pictures: str, tmp_path: Path) -> None:
    """What it cannot fetch, it reports in remove.bg's format."""
    with pytest.raises(requests.HTTPError) as caught:
        client(KEY, tmp_path).remove_background_from_img_url(f"{pictures}/gone.png")
    assert caught.value.response is not None
    assert caught.value.response.json()["errors"][0]["code"] == "failed_image_download"
    assert service.client.get("/health").status_code == 200


@pytest.mark.usefixtures("service")
def test_a_wrong_key_is_refused(tmp_path: Path) -> None:
    """The client's key is the service's token."""
    with pytest.raises(requests.HTTPError, match="403"):
        client("wrong", tmp_path).remove_background_from_base64_img("aGVsbG8=")
