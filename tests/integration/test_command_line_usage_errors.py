"""Usage errors of batches."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.commands import bgremove


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two images, in a parent folder without any."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("one.jpg", "two.PNG"):
        (folder / name).write_bytes(b"photo")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _same_output(photos: Path) -> list[object]:
    other = photos / "other"
    other.mkdir()
    (other / "one.jpg").write_bytes(b"")
    return [photos / "one.jpg", other / "one.jpg", "--out-dir", photos / "results"]


def _not_writable(photos: Path) -> list[object]:
    (photos / "taken").write_bytes(b"a file instead of a folder")
    return [photos, "--out-dir", photos / "taken"]


def _over_itself(photos: Path) -> list[object]:
    (photos / "three.png").write_bytes(b"photo")
    return [photos / "three.png", "--out-dir", photos, "--suffix", ""]


def _too_long_output(photos: Path) -> list[object]:
    photo = photos / f"{'x' * 251}.jpg"
    photo.write_bytes(b"photo")
    return [photo]


USAGE_ERRORS: dict[str, tuple[Callable[[Path], list[object]], str]] = {
    "no image": (lambda _: [], "name an image"),
    "missing among others": (lambda photos: [photos, photos / "gone.jpg"], "there is no file"),
    "pattern without match": (lambda photos: [photos / "*.tif"], "there is no file"),
    "folder without images": (lambda photos: [photos.parent], "--recursive"),
    "one name for a folder": (lambda photos: [photos, "-o", "x.png"], "--out-dir"),
    "one name for several": (lambda photos: [photos / "one.jpg", photos / "two.PNG", "-o", "x"], "--out-dir"),
    "two with one result": (_same_output, "would both be written to"),
    "folder not writable": (_not_writable, "cannot write to the folder"),
    "suffix with a folder": (lambda photos: [photos, "--suffix", "/x"], "--suffix"),
    "results that look like images": (lambda photos: [photos, "--suffix", ""], "empty --suffix"),
    "no job at all": (lambda photos: [photos, "--jobs", "0"], "--jobs"),
    "URL without a host": (lambda _: ["http://"], "not a URL"),
    "no background": (lambda photos: [photos, "--background-file", photos / "no"], "--background-file"),
    "background for a URL": (
        lambda photos: ["http://example.com/x.jpg", "--background-file", photos / "one.jpg"],
        "cannot be used with a URL",
    ),
    "watch with images": (lambda photos: [photos, "--watch", photos], "--watch"),
    "watch of nothing": (lambda photos: ["--watch", photos / "no"], "there is no folder"),
    "watch with one name": (lambda photos: ["--watch", photos, "-o", "x.png"], "--out-dir"),
    "a file and a folder": (lambda photos: [photos / "one.jpg", "-o", "x.png", "--out-dir", "z"], "exclude"),
    "a folder as the file": (lambda photos: [photos / "one.jpg", "-o", "new/"], "is a folder"),
    "over the image itself": (_over_itself, "overwrite the input image"),
    "json into the image": (lambda photos: [photos / "one.jpg", "-o", "-", "--json"], "--json"),
    "unknown extension": (lambda photos: [photos / "one.jpg", "-o", photos / "x.gif"], ".gif"),
    "unknown model": (
        lambda photos: [photos, "--model", "unet"],
        "There is no model 'unet': name one of u2net",
    ),
    "name too long": (lambda photos: [photos / f"{'x' * 300}.jpg", "--json"], "name too long"),
    "result's name too long": (_too_long_output, "name too long"),
    "background's name too long": (
        lambda photos: [photos / "one.jpg", "--background-file", "x" * 300],
        "name too long",
    ),
    "both in no zip": (lambda photos: [photos / "one.jpg", "-o", "x.png", "--output", "both"], ".zip"),
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_a_usage_error_exits_with_code_2_and_changes_nothing(photos: Path, case: str) -> None:
    """It is one sentence, also as JSON."""
    arguments, sentence = USAGE_ERRORS[case]
    words = arguments(photos)
    before = names(photos)
    done = bgremove("remove", *words, settings={"BGREMOVE_NO_BOOTSTRAP": ""})
    assert done.returncode == 2
    assert bool(done.stdout) == ("--json" in words)
    assert sentence in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert names(photos) == before


def test_a_model_folder_with_too_long_a_name_is_a_usage_error() -> None:
    """One sentence, as for a missing folder."""
    done = bgremove("download", "--from", "m" * 300)
    assert done.returncode == 2
    assert "File name too long" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may access everything")
def test_a_folder_without_search_permission_is_named(photos: Path) -> None:
    """Also in the JSON output."""
    photos.chmod(0)
    try:
        done = bgremove("remove", photos / "one.jpg", "--json")
    finally:
        photos.chmod(0o700)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["detail"] == f"cannot access {photos}/one.jpg: Permission denied"


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("remove", "p.png", "--fromat", "png"), "--format"),
        (("download", "--modle=x"), "--model"),
        (("models", "list", "--jsno"), "--json"),
    ],
)
def test_an_unknown_flag_is_refused_with_a_near_name(words: tuple[str, ...], near: str) -> None:
    """The usage is the subcommand's, which has the flags."""
    done = bgremove(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: bgremove {words[0]}")
    assert f"did you mean {near}?" in done.stderr


def test_jpg_is_jpeg(tmp_path: Path) -> None:
    """It was refused as no format, before anything was started."""
    done = bgremove("remove", tmp_path / "missing.png", "--format", "jpg")
    assert "invalid choice" not in done.stderr
    assert "missing.png" in done.stderr
