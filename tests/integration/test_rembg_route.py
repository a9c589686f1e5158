"""rembg's route, as its users call it: with curl."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import SAMPLES
from tests.photos import corner, opened, wish
from tests.service import OBEYS, Service

CAT = SAMPLES / "cat.jpg"


def curl(*arguments: str) -> bytes:
    """Return what curl writes."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "--silent", "--show-error", "--max-time", "60", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_the_curl_call_of_rembg_s_readme_gives_a_png(service: Service) -> None:
    """Nothing but the port changes."""
    cutout = opened(curl("-F", f"file=@{CAT}", f"{service.url}/api/remove"))
    with Image.open(CAT) as photo:
        assert (cutout.format, cutout.mode, cutout.size) == ("PNG", "RGBA", photo.size)
    assert cutout.getchannel("A").getextrema() == (0, 255)


def test_the_options_work_in_the_form_and_in_the_address(service: Service) -> None:
    """rembg reads bgc from the address, the others from the form; here each may stand in either."""
    mask = opened(curl("-F", f"file=@{CAT}", "-F", "om=true", f"{service.url}/api/remove"))
    assert mask.mode == "L"
    url = f"{service.url}/api/remove?bgc=255,0,255,255"
    pink = opened(curl("-F", f"file=@{CAT}", "-F", "model=u2netp", "-F", "a=true", url))
    assert corner(pink) == pytest.approx([255, 0, 255], abs=4)  # the alpha there is not quite 0


def test_the_form_wins_over_the_address(service: Service) -> None:
    """docs/compatibility.md says so; else a client with a default in its address never gets what it asks."""
    url = f"{service.url}/api/remove"
    for form, address, mode in (("true", "false", "L"), ("false", "true", "RGBA")):
        answer = service.client.post(
            url, params={"om": address}, data={"om": form}, files={"file": CAT.read_bytes()}
        )
        assert opened(answer.content).mode == mode


def test_an_unknown_model_is_a_400_that_lists_the_others(service: Service) -> None:
    """The user reads what to write instead."""
    url = f"{service.url}/api/remove"
    answer = json.loads(curl("-F", f"file=@{CAT}", "-F", "model=isnet-general-use", url))
    assert answer["code"] == "model_not_served"
    assert "u2netp" in answer["detail"]
    refused = service.client.post(url, files={"file": CAT.read_bytes()}, data={"model": "isnet-general-use"})
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"ppm": "true"}, "ppm"),
        ({"a": "true", "ae": "15"}, "ae"),
        ({"bgc": "red"}, "bgc"),
        ({"zz": "1"}, "zz"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    fake: Service, fields: dict[str, str], named: str
) -> None:
    """An option that did nothing would be worse than one that fails."""
    answer = fake.client.post(f"{fake.url}/api/remove", files={"file": wish()}, data=fields)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_a_url_is_fetched_and_cut_out(start: Callable[..., Service], pictures: str) -> None:
    """rembg's other call."""
    service = start(builtin_worker=OBEYS, url_allow_private=True)
    assert curl(f"{service.url}/api/remove?url={pictures}/holiday.png") == wish()
    gone = service.client.get(f"{service.url}/api/remove", params={"url": f"{pictures}/gone.png"})
    assert (gone.status_code, gone.json()["code"]) == (400, "url_failed")


def test_a_url_on_this_machine_is_refused(fake: Service, pictures: str) -> None:
    """The drop-in route has the same guard as the other one."""
    answer = fake.client.get(f"{fake.url}/api/remove", params={"url": f"{pictures}/holiday.png"})
    assert (answer.status_code, answer.json()["code"]) == (400, "url_refused")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_cannot_make_a_browser_fetch(fake: Service, pictures: str, site: str) -> None:
    """An image element anywhere could otherwise keep this machine busy: its GET carries no origin."""
    query = {"url": f"{pictures}/holiday.png"}
    answer = fake.client.get(f"{fake.url}/api/remove", params=query, headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")


def test_no_file_is_a_sentence(fake: Service, tmp_path: Path) -> None:
    """So is one that is no image."""
    url = f"{fake.url}/api/remove"
    assert "file" in fake.client.post(url, data={"a": "true"}).json()["detail"]
    (tmp_path / "text.txt").write_text("hello")
    answer = fake.client.post(url, files={"file": (tmp_path / "text.txt").read_bytes()})
    assert (answer.status_code, answer.json()["code"]) == (415, "not_an_image")
