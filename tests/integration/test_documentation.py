"""The documents agree with the code: tables, links, payloads, and the shell blocks of the HTTP API."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from shared import errors
from shared.catalog import CATALOG, ONNX_MODELS
from shared.option_descriptions import describe_options
from shared.option_validation import validate_options
from shared.options import RemovalOptions
from shared.presets import BUILT_IN
from supervisor.api.error_handlers import ErrorBody
from supervisor.jobs.result import Result
from supervisor.settings import PREFIX, Settings
from supervisor.tasks.task import TaskPayload
from tests.conftest import SAMPLES
from tests.photos import opened
from tests.service import ROOT, Service

README = ROOT / "README.md"
DOCS = ROOT / "docs"
HTTP_API = DOCS / "http-api.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("examples/*.md"))]
README_LINES = 130
BASH = shutil.which("bash")
# Before a block's commands, so that an HTTP error or a missing field fails it.
STRICT = """
set -euo pipefail
curl() { command curl --fail-with-body -sS "$@"; }
jq() { command jq -e "$@"; }
"""


def table_rows(page: Path, section: str = "") -> Iterator[list[str]]:
    """Yield the cells of every table row of a page, or of one of its sections."""
    text = page.read_text()
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for line in re.findall(r"^\| (.*) \|$", text, re.MULTILINE):
        yield [cell.strip() for cell in line.split(" |")]


def code_blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of a page that are marked with `kind`."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def listed_settings(page: Path) -> dict[str, str]:
    """Return the settings that a page's tables list, each with its default."""
    rows = [row for row in table_rows(page) if row[0].startswith(f"`{PREFIX}")]
    settings = {row[0].strip("`").removeprefix(PREFIX): row[1].strip("`") for row in rows}
    assert len(settings) == len(rows), "a setting is listed twice"
    return settings


def test_settings_are_listed_with_their_defaults() -> None:
    """An operator trusts the table."""
    listed = listed_settings(DOCS / "configuration.md")
    assert set(listed) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = field.default
        if field.default_factory is None:
            expected = ",".join(default) if isinstance(default, tuple) else str(default).lower()
            assert listed[name.upper()].lower() == {"none": "", "": ""}.get(expected, expected), name
    chosen = listed_settings(README)
    assert chosen
    assert chosen.items() <= listed.items()


def test_the_readme_stays_short() -> None:
    """It is an overview; details belong to a page of their own."""
    assert len(README.read_text().splitlines()) <= README_LINES


def test_relative_links_lead_somewhere_and_to_every_document() -> None:
    """To a file, and to a heading of it where the link names one."""
    linked = set()
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"""(?:\]\(|src=["']|srcset=["'])([^)"'\s]+)""", text):
            path, _, anchor = link.partition("#")
            if urlsplit(path).scheme:
                continue
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}"
            linked.add(target)
    assert set(DOCS.iterdir()) <= linked


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_named_files_exist() -> None:
    """Files are renamed, and a reader looks for them by the old name."""
    for page in PAGES:
        for path in re.findall(
            r"`((?:supervisor|worker|shared|scripts|tests|docs|examples)/[\w./-]*)`", page.read_text()
        ):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_options_are_listed_with_their_values_and_defaults() -> None:
    """A client's author need not read the schema."""
    rows = {row[0].strip("`"): row[1:3] for row in table_rows(DOCS / "output-options.md", "All options")}
    del rows["option"]
    assert list(rows) == [option.name for option in describe_options()]
    for option in describe_options():
        values, default = rows[option.name]
        assert default.strip("`") == ("none" if option.default is None else str(option.default).lower())
        if option.choices:
            assert values == ", ".join(f"`{choice}`" for choice in option.choices)
        if option.minimum is not None:
            assert values == f"{option.minimum} to {option.maximum}"


def test_presets_are_listed_with_their_options() -> None:
    """As a form would send them."""
    rows = {
        name.strip("`"): options for name, _, options in table_rows(DOCS / "output-options.md", "Presets")
    }
    del rows["preset"]
    assert rows == {
        name: ", ".join(
            f"`{option}={str(value).lower() if isinstance(value, bool) else value}`"
            for option, value in preset.items()
        )
        for name, preset in BUILT_IN.items()
    }
    (example,) = code_blocks(DOCS / "output-options.md", "toml")
    for preset in tomllib.loads(example).values():
        validate_options(RemovalOptions(**preset))


def test_routes_are_listed(service: Service) -> None:
    """All that the OpenAPI schema has, and no other."""
    paths = service.client.get(f"{service.url}/openapi.json").json()["paths"]
    listed = [row[0].strip("`") for row in table_rows(HTTP_API, "Routes")]
    assert sorted(listed[1:]) == sorted(
        f"{method.upper()} {path}" for path, operations in paths.items() for method in operations
    )


def test_errors_are_listed_with_their_status() -> None:
    """Programs distinguish errors by their codes."""
    listed = {
        (int(status), code)
        for status, codes in table_rows(HTTP_API, "Errors")
        if status.isdecimal()
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    assert listed == {(kind.status, kind.code) for kind in error_classes(errors.BgremoveError)}


def error_classes(kind: type[errors.BgremoveError]) -> Iterator[type[errors.BgremoveError]]:
    """Yield a class of errors and its subclasses, but for those of the compatible APIs."""
    if kind.__module__ == errors.__name__:
        yield kind
    for child in kind.__subclasses__():
        yield from error_classes(child)


def test_models_are_listed() -> None:
    """With the input size and the purpose that the catalogue has."""
    rows = list(table_rows(DOCS / "models.md", "The family"))[1:]
    assert [(name.strip("`"), purpose) for name, _, purpose in rows] == [
        (spec.name, spec.purpose) for spec in CATALOG
    ]
    for spec, (_, listed, _) in zip(CATALOG, rows, strict=True):
        size = spec.input_size
        sides = f"{size[0]} to {size[-1]}" if isinstance(size, range) else f"{size[0]} x {size[1]}"
        assert listed.endswith(sides)


def test_onnx_models_are_listed() -> None:
    """With their input size, purpose, licence, its caveat, and where the file comes from."""
    rows = list(table_rows(DOCS / "models.md", "ONNX models"))[1:]
    assert [tuple(row[:4]) for row in rows] == [
        (
            f"`{spec.name}`",
            "{} x {}".format(*spec.input_size),
            spec.purpose,
            f"{spec.licence}{' (1)' if spec.caveat else ''}",
        )
        for spec in ONNX_MODELS
    ]
    assert [row[4].startswith("downloaded") for row in rows] == [bool(spec.wheels) for spec in ONNX_MODELS]


def test_payloads_have_the_fields_that_are_sent() -> None:
    """A client's author copies them."""
    for kind, fields in (
        ("json payload", TaskPayload.__annotations__),
        ("json result", Result.__annotations__),
        ("json error", ErrorBody.model_fields),
    ):
        (block,) = code_blocks(HTTP_API, kind)
        assert list(json.loads(block)) == list(fields), kind


@pytest.mark.skipif(not (BASH and shutil.which("jq")), reason="bash or jq is not installed")
def test_shell_blocks_of_the_http_api_work(
    start: Callable[..., Service], pictures: str, tmp_path: Path
) -> None:
    """Each that is marked `bash tested`, as a reader would paste it."""
    service = start(url_allow_private=True)
    with Image.open(SAMPLES / "cat.jpg") as cat:
        cat.resize((4000, 2660)).save(tmp_path / "photo.jpg")  # so large that it can be cancelled in time
    blocks = code_blocks(HTTP_API, "bash tested")
    assert len(blocks) > 5
    for block in blocks:
        commands = block.replace("localhost:6905", urlsplit(service.url).netloc)
        commands = commands.replace("https://example.com/cat.jpg", f"{pictures}/blue.png")
        run = subprocess.run(
            [str(BASH), "-c", STRICT + commands], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, block + run.stdout + run.stderr
    assert opened((tmp_path / "cutout.png").read_bytes()).mode == "RGBA"
    assert opened((tmp_path / "cutout.webp").read_bytes()).format == "WEBP"
    ended = [service.finished(task["task_id"]) for task in service.client.get("/tasks").json()]
    assert sorted({task["code"] or task["status"] for task in ended}) == ["cancelled", "complete"], ended


def test_the_pictures_script_has_a_help_text() -> None:
    """Asked for help, it would start a server and write over the pictures."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "screenshots.py", "--help"],
        env={**os.environ, "BGREMOVE_NO_BOOTSTRAP": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "docs/page-light.png" in done.stdout


def test_what_the_page_names_without_javascript_needs_none(service: Service) -> None:
    """The reference at /docs is empty without it."""
    (text,) = re.findall("<noscript>(.*)</noscript>", service.client.get(f"{service.url}/").text)
    paths = re.findall(r"(?<= )/[\w./]*\w", text)
    assert paths
    for path in paths:
        answer = service.client.get(service.url + path)
        assert answer.status_code == 200
        assert "<script" not in answer.text


def test_the_glossary_names_what_the_code_has() -> None:
    """A term whose class was renamed leads a reader who greps for it to nothing."""
    rows = re.findall(
        r"^\| [^|]+ \| [^|]+ \| (.+) \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE
    )
    places = [place for row in rows for place in re.findall(r"`([^`]+)`", row)]
    assert len(places) > 20
    code = "\n".join(path.read_text() for path in (ROOT / "supervisor").rglob("*.py"))
    for place in places:
        if place.startswith("BGREMOVE_"):
            assert place.removeprefix("BGREMOVE_").lower() in Settings.model_fields, place
        elif "/" in place:
            assert (ROOT / place).exists(), place
        else:
            owner, _, member = place.partition(".")
            assert re.search(rf"^class {owner}\b", code, re.MULTILINE), place
            assert re.search(rf"^    (async )?(def )?{member}\b", code, re.MULTILINE), place
