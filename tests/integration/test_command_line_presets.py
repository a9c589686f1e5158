"""--preset on the command line: the options that are sent, and the names of the results."""

from pathlib import Path

import pytest

from tests.integration.commands import bgremove, remove, sibling_files
from tests.integration.fake_service import Script

PRESETS = {
    "marketplace": {"format": "jpeg", "background": "white"},
    "zipped": {"output": "layers"},
}
CASES: dict[str, tuple[list[str], str, dict[str, str]]] = {
    "preset": (["--preset", "marketplace"], "photo-cutout.jpg", {"format": "jpeg", "background": "white"}),
    "option": (["--preset", "marketplace", "--background", "red"], "photo-cutout.jpg", {"background": "red"}),
    "format": (["--preset", "marketplace", "--format", "webp"], "photo-cutout.webp", {"format": "webp"}),
    "extension": (["--preset", "marketplace", "-o", "x.png"], "x.png", {"format": "png"}),
    "same extension": (["--preset", "marketplace", "-o", "x.jpg"], "x.jpg", {"format": "jpeg"}),
    "no extension": (["--preset", "marketplace", "-o", "x"], "x", {"format": "jpeg"}),
    "format and extension": (
        ["--preset", "marketplace", "-o", "x.png", "--format", "jpeg"],
        "x.png",
        {"format": "jpeg"},
    ),
    "zip": (["--preset", "zipped"], "photo-layers.zip", {"output": "layers"}),
}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "photo.jpg"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xd8 not decoded by the command line")
    return path


@pytest.mark.parametrize("case", CASES)
def test_the_results_name_agrees_with_the_presets_format(photo: Path, case: str) -> None:
    """A JPEG named .png would be refused by the shop that it is uploaded to."""
    arguments, name, sent = CASES[case]
    paths = [str(photo.parent / word) if word.startswith("x") else word for word in arguments]
    script = Script(presets=PRESETS)
    done = remove(script, photo, *paths)
    assert done.returncode == 0, done.stderr
    assert sibling_files(photo) == [name]
    (upload,) = script.uploads
    for option, value in sent.items():
        assert f'name="{option}"\r\n\r\n{value}\r\n'.encode() in upload


def test_a_batch_with_a_preset_skips_what_is_up_to_date(photo: Path, tmp_path: Path) -> None:
    """By the names that the preset's format gives."""
    script = Script(presets=PRESETS)
    folder = tmp_path / "shop"
    arguments = ("--out-dir", folder, "--preset", "marketplace")
    assert remove(script, photo, *arguments).returncode == 0
    assert [path.name for path in folder.iterdir()] == ["photo-cutout.jpg"]
    done = remove(script, photo, *arguments)
    assert (done.returncode, len(script.uploads)) == (0, 1)
    assert "skipped 1" in done.stderr


def test_a_background_image_replaces_that_of_a_preset(photo: Path) -> None:
    """The server would refuse the two."""
    script = Script(presets=PRESETS)
    done = remove(script, photo, "--preset", "marketplace", "--background-file", photo)
    assert done.returncode == 0, done.stderr
    (upload,) = script.uploads
    assert b'name="background"' not in upload


def test_an_unknown_preset_is_a_usage_error(photo: Path) -> None:
    """With the names that there are; nothing is uploaded."""
    script = Script(presets=PRESETS)
    done = remove(script, photo, "--preset", "shop")
    assert done.returncode == 2
    assert "--preset is not valid: the presets are marketplace, zipped" in done.stderr
    assert not script.uploads


def test_presets_of_the_environment_are_checked_before_a_server_starts(photo: Path, tmp_path: Path) -> None:
    """The private server gets the same file, and would not start with it."""
    path = tmp_path / "presets.toml"
    path.write_text('[shop]\nformat = "gif"\n')
    done = bgremove("remove", photo, "--preset", "shop", settings={"BGREMOVE_PRESETS": str(path)})
    assert done.returncode == 2
    assert "preset 'shop': option 'format' must be one of png, webp, jpeg" in done.stderr


def test_the_older_name_of_margin_is_accepted(photo: Path) -> None:
    """Scripts that were written for version 0.1 still work."""
    for flag in ("--margin", "--crop-margin"):
        script = Script()
        assert remove(script, photo, "--crop", flag, "5%").returncode == 0
        assert b'name="margin"\r\n\r\n5%\r\n' in script.uploads[0]
