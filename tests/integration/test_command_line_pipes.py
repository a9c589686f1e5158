"""Standard input and output, output formats and options, against a fake service."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.commands import ENVIRONMENT, TIMEOUT_S, command
from tests.integration.commands import remove as remove_file
from tests.integration.fake_service import CUTOUT, Script, fake_service

PHOTO = b"\xff\xd8 any bytes \x00\r\n\xff"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    return path


def piped(script: Script, *arguments: object, photo: bytes = PHOTO) -> subprocess.CompletedProcess[bytes]:
    with fake_service(script) as address:
        return subprocess.run(
            command("remove", "--server", address, *arguments),
            env=ENVIRONMENT,
            input=photo,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )


def test_standard_output_holds_the_image_alone() -> None:
    """Any text would damage the file; messages go to standard error."""
    script = Script(busy=1)
    done = piped(script, "-")
    assert (done.returncode, done.stdout) == (0, CUTOUT)
    assert b"wrote standard output" in done.stderr
    assert [PHOTO in upload for upload in script.uploads] == [True, True], "also in the second attempt"


def test_a_file_is_written_to_standard_output_and_standard_input_to_a_file(
    photo: Path, tmp_path: Path
) -> None:
    """Either end can be a pipe."""
    assert piped(Script(), photo, "-o", "-", photo=b"").stdout == CUTOUT
    done = piped(Script(), "-", "-o", tmp_path / "x.png")
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "x.png").read_bytes() == CUTOUT


@pytest.mark.parametrize(
    ("script", "photo", "sentence"),
    [
        (Script(truncated_download=True), PHOTO, b"no connection to"),
        (Script(), b"", b"no data on standard input"),
    ],
)
def test_a_failure_writes_nothing_to_standard_output(script: Script, photo: bytes, sentence: bytes) -> None:
    """A partial image would pass for a complete one."""
    done = piped(script, "-", photo=photo)
    assert (done.returncode, done.stdout) == (1, b"")
    assert sentence in done.stderr


FORMATS: dict[str, tuple[list[str], str, dict[str, str]]] = {
    "named webp": (["-o", "x.webp"], "x.webp", {"format": "webp"}),
    "named jpg": (["-o", "x.JPG"], "x.JPG", {"format": "jpeg"}),
    "named png": (["-o", "x.png"], "x.png", {}),
    "named without extension": (["-o", "x"], "x", {}),
    "asked for": (["--format", "webp"], "photo-cutout.webp", {"format": "webp"}),
    "asked for jpeg": (["--format", "jpeg"], "photo-cutout.jpg", {"format": "jpeg"}),
    "asked for under another name": (["--format", "webp", "-o", "x.png"], "x.png", {"format": "webp"}),
    "mask": (["--output", "mask"], "photo-mask.png", {"output": "mask"}),
    "both": (["--output", "both"], "photo-both.zip", {"output": "both"}),
    "layers": (["--output", "layers"], "photo-layers.zip", {"output": "layers"}),
    "layers named": (["--output", "layers", "-o", "x.zip"], "x.zip", {"output": "layers"}),
    "suffix": (["--suffix", "_free"], "photo_free.png", {}),
    "both named": (["--output", "both", "-o", "x.zip"], "x.zip", {"output": "both"}),
    "switches": (
        ["--no-refine", "--crop", "--quality", "80"],
        "photo-cutout.png",
        {"refine": "false", "quality": "80"},
    ),
}


@pytest.mark.parametrize("case", FORMATS)
def test_the_extension_and_the_format_agree(photo: Path, case: str) -> None:
    """Programs trust extensions; options that were not given are left to the server."""
    arguments, name, sent = FORMATS[case]
    paths = [str(photo.parent / word) if word.startswith("x") else word for word in arguments]
    script = Script()
    done = remove_file(script, photo, *paths)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in photo.parent.iterdir()} == {"photo.jpg", name}
    (upload,) = script.uploads
    for option, value in sent.items():
        assert f'name="{option}"\r\n\r\n{value}\r\n'.encode() in upload
    assert (b'name="format"' in upload) == ("format" in sent)


def test_a_background_image_is_uploaded_as_its_own_part(photo: Path, tmp_path: Path) -> None:
    """The service does not learn its local path."""
    background = tmp_path / "beach.png"
    background.write_bytes(b"sand and sea")
    script = Script()
    assert remove_file(script, photo, "--background-file", background).returncode == 0
    (upload,) = script.uploads
    assert b'name="background_file"; filename="beach.png"' in upload
    assert b"sand and sea" in upload
    assert str(tmp_path).encode() not in upload
