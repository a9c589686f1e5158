"""Clients that code generators make of the OpenAPI document: they type-check, and upload a photo."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared import file_lock
from tests.conftest import SAMPLES
from tests.photos import opened
from tests.service import Service

PROGRAMS = Path(__file__).with_name("generated_clients")
# In an environment of their own: they want other versions of packages than this project has.
PYTHON_TOOLS = ("openapi-python-client==0.29.1", "openapi-spec-validator==0.9.0")
NPM_TOOLS = (
    "openapi-typescript@7.10.1",
    "openapi-fetch@0.15.0",
    "typescript@5.9.3",
    "@types/node@20.19.25",
)
BINARY = ("image/png", "image/webp", "image/jpeg", "image/*", "application/zip")
npm = pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], folder: Path, **variables: str) -> str:
    """Run a command in a folder, and return its output; fail with it if the command fails."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def python_tools(pytestconfig: pytest.Config) -> Path:
    """The folder of the programs of an environment with the generator and the validator."""
    folder = pytestconfig.cache.mkdir("openapi-python")
    with file_lock.acquire(folder / "lock", on_wait=lambda: None):
        if not (folder / "complete").exists():
            run([sys.executable, "-m", "venv", folder / "venv"], folder)
            run([folder / "venv/bin/python", "-m", "pip", "install", "-q", *PYTHON_TOOLS], folder)
            (folder / "complete").touch()
    return folder / "venv" / "bin"


@pytest.fixture
def document(service: Service, tmp_path: Path) -> Path:
    """The OpenAPI document as the service serves it."""
    path = tmp_path / "openapi.json"
    path.write_text(service.client.get(f"{service.url}/openapi.json").text)
    return path


def test_the_document_is_valid(document: Path, python_tools: Path) -> None:
    """Generators refuse the whole of one that is not."""
    run([python_tools / "openapi-spec-validator", document], document.parent)


def test_a_generated_python_client_uploads(
    document: Path, python_tools: Path, service: Service, tmp_path: Path
) -> None:
    """Files, options, results and errors have types, and the types are right."""
    config = tmp_path / "config.json"
    overrides = dict.fromkeys(BINARY, "application/octet-stream")
    config.write_text(json.dumps({"content_type_overrides": overrides, "post_hooks": []}))
    target = tmp_path / "bgremove_client"
    command: list[str | Path] = [
        python_tools / "openapi-python-client",
        "generate",
        "--path",
        document,
        "--meta",
        "none",
    ]
    output = run([*command, "--config", config, "--output-path", target], tmp_path)
    assert "WARNING" not in output.upper(), output
    (target / "py.typed").touch()
    shutil.copy(PROGRAMS / "upload.py", tmp_path)
    mypy = [sys.executable, "-m", "mypy", "--config-file", os.devnull, "--python-executable"]
    run([*mypy, python_tools / "python", "--strict", "upload.py", "bgremove_client"], tmp_path)
    photo, result = SAMPLES / "astronaut.jpg", tmp_path / "result.webp"
    run([python_tools / "python", "upload.py", service.url, photo, result], tmp_path)
    image = opened(result.read_bytes())
    assert (image.format, image.size) == ("WEBP", (100, 100))


@npm
def test_generated_typescript_types_check_and_upload(
    document: Path, pytestconfig: pytest.Config, service: Service, tmp_path: Path
) -> None:
    """As a front end uses them."""
    folder = pytestconfig.cache.mkdir("openapi-typescript")
    with file_lock.acquire(folder / "lock", on_wait=lambda: None):
        if not (folder / "complete").exists():
            run(
                ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder, *NPM_TOOLS],
                folder,
            )
            (folder / "complete").touch()
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    shutil.copy(PROGRAMS / "upload.ts", tmp_path)
    programs = tmp_path / "node_modules" / ".bin"
    run(
        [programs / "openapi-typescript", document, "-o", "schema.ts", "--default-non-nullable=false"],
        tmp_path,
    )
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
    run([programs / "tsc", *options, "upload.ts"], tmp_path)
    photo, result = SAMPLES / "astronaut.jpg", tmp_path / "result.webp"
    run(["node", "upload.js", service.url, photo, result], tmp_path)
    image = opened(result.read_bytes())
    assert (image.format, image.size) == ("WEBP", (100, 100))
