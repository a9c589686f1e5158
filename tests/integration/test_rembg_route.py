"""rembg's route, as its users call it: with curl."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests import compare_rembg
from tests.conftest import SAMPLES
from tests.photos import corner, opened, wish
from tests.service import OBEYS, Service, running

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
    """On a POST, rembg reads bgc and extras in the address, the others in the form; here all in both."""
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


@pytest.fixture(scope="module")
def by_light(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose engine is fast, and which fetches from this machine."""
    worker, folder = "tests.fake_workers.by_light:serve", tmp_path_factory.mktemp("by_light")
    with running(data_dir, folder / "temp", builtin_worker=worker, url_allow_private=True) as started:
        yield started


@pytest.mark.parametrize("case", compare_rembg.CASES, ids=str)
def test_the_answers_are_those_of_rembg(by_light: Service, pictures: str, case: compare_rembg.Case) -> None:
    """Status, media type, mode and size, as recorded from rembg 2.0.86; `compare_rembg` says how."""
    answer = case.send(by_light.client, by_light.url, f"{pictures}/blue.png")
    assert answer.startswith(case.expected)


@pytest.mark.parametrize(
    ("fields", "named"), [({"vm": "true"}, "vm"), ({"bgc": "red"}, "bgc"), ({"a": "maybe"}, "'a'")]
)
def test_what_cannot_be_honoured_is_refused_by_name(
    fake: Service, fields: dict[str, str], named: str
) -> None:
    """An option that did nothing would be worse than one that fails."""
    answer = fake.client.post(f"{fake.url}/api/remove", files={"file": wish()}, data=fields)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_ppm_makes_the_mask_hard(service: Service) -> None:
    """rembg's users ask for it before they trace outlines."""
    url = f"{service.url}/api/remove"
    for fields, hard in (({"ppm": "true", "om": "true"}, True), ({"om": "true"}, False)):
        mask = opened(service.client.post(url, data=fields, files={"file": CAT.read_bytes()}).content)
        assert (sum(map(bool, mask.histogram())) == 2) is hard


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


@pytest.mark.parametrize("missing", ["filelock", "torch"])
def test_a_birefnet_without_its_packages_says_how_to_install_them(
    start: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Neither the package that the download needs first, nor a traceback's last line helps the user."""
    error = f"raise ModuleNotFoundError('No module named {missing}', name='{missing}')"
    (tmp_path / f"{missing}.py").write_text(error)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    model = tmp_path / "BiRefNet"
    model.mkdir()
    (model / "model.safetensors").touch()
    service = start(model=model if missing == "torch" else "BiRefNet", data_dir=tmp_path)
    if missing == "torch":
        answer = service.finished(service.upload(wish(), model="birefnet"))["message"]
    else:
        form, files = {"model": "birefnet-general"}, {"file": wish()}
        response = service.client.post(f"{service.url}/api/remove", data=form, files=files)
        assert response.status_code == 503
        answer = response.json()["detail"]
    assert answer.endswith("installed: run 'python3 scripts/bgremove.py install'.")
