"""Pipes, devices, symbolic links and unusual file names: a failure affects one image only."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration.commands import ENVIRONMENT, TIMEOUT_S, Run, command
from tests.integration.fake_service import COMPLETE, CUTOUT, RUNNING, Script, fake_service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="named pipes, devices, non-UTF-8 names")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An image file."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff a photo")
    return path


def remove(script: Script, *arguments: object, closing: str = "") -> Run:
    """Run the command against a fake service; `closing` is a shell redirection that closes a stream."""
    with fake_service(script) as address:
        words = command("remove", "--server", address, *arguments)
        if closing:
            words = ["sh", "-c", f'"$@" {closing}', "sh", *words]
        return subprocess.run(
            words, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )


def test_a_named_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    """As made by `<(convert …)`; after a full queue the image is uploaded again."""
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"through a pipe",))
    writer.start()
    script = Script(busy=1)
    done = remove(script, pipe, "-o", tmp_path / "x.png")
    writer.join()
    assert done.returncode == 0, done.stderr
    assert [b"through a pipe" in upload for upload in script.uploads] == [True, True]


def test_an_unreadable_image_fails_alone(photo: Path, tmp_path: Path) -> None:
    """Such as on a bad card or a lost network drive; here a system file that cannot be read."""
    done = remove(Script(), "/proc/self/mem", photo, "--out-dir", tmp_path / "out")
    assert done.returncode == 1
    assert "cannot read /proc/self/mem" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "photo-cutout.png").read_bytes() == CUTOUT


def test_a_result_is_written_to_a_pipe_and_through_a_symbolic_link(photo: Path, tmp_path: Path) -> None:
    """Replacing /dev/null by an image would break the machine; a link must stay a link."""
    pipe, link, target = tmp_path / "pipe", tmp_path / "link.png", tmp_path / "elsewhere.png"
    os.mkfifo(pipe)
    link.symlink_to(target)
    target.write_bytes(b"old")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert remove(Script(), photo, "-o", pipe).returncode == 0
    reader.join(TIMEOUT_S)
    assert pipe.is_fifo()
    assert read == [CUTOUT]
    assert remove(Script(), photo, "-o", link).returncode == 0
    assert link.is_symlink()
    assert target.read_bytes() == CUTOUT
    assert not list(tmp_path.glob(".bgremove-*"))


def test_names_near_the_length_limit_affect_no_other_image(photo: Path) -> None:
    """An image whose output name would be too long fails; one whose output name just fits does not."""
    (photo.parent / f"{'n' * 246}.jpg").write_bytes(b"\xff\xd8\xff")
    (photo.parent / f"{'f' * 244}.jpg").write_bytes(b"\xff\xd8\xff")
    done = remove(Script(), photo.parent)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (photo.parent / f"{'f' * 244}-cutout.png").exists()
    assert (photo.parent / "photo-cutout.png").exists()


def test_a_name_that_is_not_utf_8_is_accepted(photo: Path) -> None:
    """Old disks and archives have such names."""
    name = os.fsencode(photo.parent) + b"/caf\xe9.jpg"
    photo.rename(os.fsdecode(name))
    done = remove(Script(), photo.parent)
    assert done.returncode == 0, done.stderr
    assert Path(os.fsdecode(name.replace(b".jpg", b"-cutout.png"))).exists()


def test_control_characters_do_not_reach_the_terminal(photo: Path) -> None:
    """File names and server messages may contain escape sequences (terminal injection)."""
    odd = photo.rename(photo.with_name("\x1b]0;owned\x07\x9b2J.jpg"))
    script = Script(states=[{**RUNNING, "message": "Removing\x1b[2J"}, COMPLETE])
    for photos in (odd, photo.parent, photo.with_name("\x1bgone.jpg")):
        done = remove(script, photos, "--overwrite")
        assert "?" in done.stderr
        assert done.stderr.replace("\n", "").isprintable()
    assert photo.with_name("\x1b]0;owned\x07\x9b2J-cutout.png").read_bytes() == CUTOUT


def test_an_image_named_like_a_result_is_processed_if_named_itself(photo: Path) -> None:
    """It may show a mask; together with the image that it would come from, it is a result."""
    mask = photo.with_name("face-mask.jpg")
    photo.rename(mask)
    script = Script()
    assert remove(script, mask, "--out-dir", photo.parent).returncode == 0
    assert len(script.uploads) == 1
    photo.with_name("face.jpg").write_bytes(b"\xff\xd8\xff")
    done = remove(script, mask, photo.with_name("face.jpg"), "--json")
    assert '"reason": "result"' in done.stdout
    assert len(script.uploads) == 2


def test_a_pipe_is_not_read_twice(tmp_path: Path) -> None:
    """It is empty then, and opening it again would block."""
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"through a pipe",))
    writer.start()
    script = Script(refusal=(503, {"detail": "The service is stopping.", "code": "stopping"}))
    done = remove(script, pipe, tmp_path / "pipe.jpg", "--out-dir", tmp_path / "out")
    writer.join()
    assert done.returncode == 1
    assert "The service is stopping." in done.stderr


def test_a_suffix_may_begin_with_a_dash(photo: Path) -> None:
    """The default, -cutout, does."""
    assert remove(Script(), photo.parent, "--suffix", "-small").returncode == 0
    assert photo.with_name("photo-small.png").exists()
    assert remove(Script(), photo.parent, "--suffix", "--overwrite").returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_standard_streams_are_accepted(photo: Path, closed: str) -> None:
    """Some schedulers start programs without them."""
    done = remove(Script(), photo, "-o", photo.with_name("x.png"), closing=closed)
    assert done.returncode == 0, done.stderr
    assert photo.with_name("x.png").read_bytes() == CUTOUT
