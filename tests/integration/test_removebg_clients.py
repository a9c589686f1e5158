"""Clients with https://api.remove.bg built in, unchanged, through the shipped nginx configuration."""

import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration import removebg_cases
from tests.integration.conftest import FILES
from tests.integration.removebg_cases import PREVIEW, Case, cases, cutout
from tests.integration.removebg_host import (
    RemovebgHost,
    install_npm_packages,
    removebg_host,
    skip_without,
)
from tests.service import Service, running

KEY = "s3cret"
BY_LIGHT = "tests.fake_workers.by_light:serve"
API = "https://api.remove.bg/v1.0"
WRAPPER_FIELDS = (
    *("size", "type", "scale", "position", "crop", "crop_margin", "roi"),
    *("bg_color", "bg_image_url", "channels", "add_shadow"),
)
TEXT_FIELDS = (
    *WRAPPER_FIELDS,
    *("format", "type_level", "shadow_type", "shadow_opacity", "shadow_method", "semitransparency"),
)


@pytest.fixture(scope="module")
def service(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token, under remove.bg's name."""
    settings: dict[str, Any] = {"token": KEY, "url_allow_private": True, "builtin_worker": BY_LIGHT}
    temp_dir = tmp_path_factory.mktemp("removebg") / "temp"
    with running(data_dir, temp_dir, allowed_hosts="api.remove.bg", **settings) as service:
        yield service


@pytest.fixture(scope="module")
def host(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemovebgHost]:
    """The service as https://api.remove.bg, with the photo in the clients' folder."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "photo.jpg").write_bytes(removebg_cases.photo())
    (folder / "blue.png").write_bytes(FILES["/blue.png"])
    with removebg_host(service, folder) as host:
        yield host


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest) -> Path:
    """The clients from npm."""
    skip_without("npm", "node")
    return install_npm_packages(Path(request.config.cache.mkdir("removebg-clients")))


def run_client(
    host: RemovebgHost,
    script: str,
    chosen: Mapping[str, Case],
    folder: Path,
    url: str = "",
    packages: Path | None = None,
) -> Any:
    """Run a client script with all cases, and check the files that it saves; return what it prints."""
    order = {
        "key": KEY,
        "photo": str(host.folder / "photo.jpg"),
        "background": str(host.folder / "blue.png"),
        "url": url,
        "folder": str(folder),
        "cases": {name: case.options for name, case in chosen.items()},
    }
    printed = host.run_script(script, order, packages)
    failures = []
    for name, case in chosen.items():
        try:
            case.check((folder / name).read_bytes())
        except (AssertionError, OSError, zipfile.BadZipFile) as error:
            failures.append(f"{name}: {error}; {str(printed.get(name))[:200]}")
    assert not failures, "\n".join(failures)
    return printed


def test_npm_wrapper(host: RemovebgHost, packages: Path, pictures: str, tmp_path: Path) -> None:
    """The package remove.bg asks for JSON, and reads size, type and rate limit from the headers."""
    chosen = cases(WRAPPER_FIELDS, f"{pictures}/blue.png")
    answers = run_client(host, "wrapper.cjs", chosen, tmp_path, f"{pictures}/square.jpg", packages)
    for name in ("base64", "url"):
        chosen["default"].check((tmp_path / name).read_bytes())
    assert answers["type person"]["detectedType"] == "person"
    default = answers["default"]
    assert (int(default["resultWidth"]), int(default["resultHeight"])) == PREVIEW
    assert default["creditsCharged"] == "0"
    assert int(default["rateLimit"]) >= int(default["rateLimitRemaining"]) > 0


def test_axios_sample(host: RemovebgHost, packages: Path, pictures: str, tmp_path: Path) -> None:
    """axios sends `Accept: application/json, text/plain, */*`, and the sample saves the body as PNG."""
    chosen = cases(TEXT_FIELDS, f"{pictures}/blue.png")
    headers = run_client(host, "axios.cjs", chosen, tmp_path, packages=packages)
    assert headers["type product"]["x-type"] == "product"
    assert "x-type" not in headers["type_level none"]
    assert headers["format zip"]["content-type"] == "application/zip"


def test_fetch_sample(host: RemovebgHost, pictures: str, tmp_path: Path) -> None:
    """Node's and a browser's fetch; backgrounds are sent as files too."""
    skip_without("node")
    chosen = cases((*TEXT_FIELDS, "bg_image_file"), f"{pictures}/blue.png")
    headers = run_client(host, "fetch.cjs", chosen, tmp_path)
    assert headers["crop"]["x-foreground-width"] == "300"


def test_pypi_removebg(host: RemovebgHost, pictures: str, tmp_path: Path) -> None:
    """The package removebg knows two options, and sends an absent colour as an absent field."""
    chosen = cases(("size", "bg_color"), "")
    run_client(host, "pypi_removebg.py", chosen, tmp_path, f"{pictures}/square.jpg")
    for name in ("base64", "url"):
        chosen["default"].check((tmp_path / name).read_bytes())


def test_pypi_remove_bg_api(host: RemovebgHost, pictures: str, tmp_path: Path) -> None:
    """The package remove-bg-api reads the account first, and takes the charge for a whole number."""
    chosen = cases(TEXT_FIELDS, f"{pictures}/blue.png")
    account = run_client(host, "pypi_remove_bg_api.py", chosen, tmp_path, f"{pictures}/square.jpg")
    for name in ("bytes", "base64", "url"):
        chosen["default"].check((tmp_path / name).read_bytes())
    assert isinstance(account["balance"], int)
    assert isinstance(account["free_calls"], int)


def test_curl_and_imagemagick_combine_a_zip(host: RemovebgHost, tmp_path: Path) -> None:
    """The default call of the official command lines: a zip, and empty fields for options not set."""
    skip_without("curl", "composite")
    empty = [f"-F{name}=" for name in removebg_cases.EMPTY_FIELDS]
    fields = ["-Fimage_file=@photo.jpg", "-Fsize=auto", "-Fformat=zip", *empty]
    layers = tmp_path / "layers.zip"
    curl(host, *fields, "-o", str(layers), f"{API}/removebg")
    with zipfile.ZipFile(layers) as archive:
        archive.extractall(tmp_path)
    command = ["composite", "-compose", "CopyOpacity", "alpha.png", "color.jpg", "PNG32:cutout.png"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    cutout(removebg_cases.FULL, removebg_cases.SQUARE)((tmp_path / "cutout.png").read_bytes())


def test_a_wrong_key_is_refused(host: RemovebgHost) -> None:
    """Clients show the first error's title; the upload may be larger than what nginx holds in memory."""
    (host.folder / "large.bin").write_bytes(bytes(20_000_000))
    done = host.run(
        *("curl", "-sS", "-w", "%{http_code}", "-H", "X-Api-Key: wrong"),
        *("-F", "image_file=@large.bin", f"{API}/removebg"),
    )
    assert done.stdout.endswith(b"403"), done
    assert b'"auth_failed"' in done.stdout


def curl(host: RemovebgHost, *arguments: str) -> bytes:
    """Run curl with the key; return what it prints."""
    done = host.run("curl", "-sS", "--fail-with-body", "-H", f"X-Api-Key: {KEY}", *arguments)
    assert done.returncode == 0, done
    return done.stdout
