"""A watched folder, against a scripted service."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import ENVIRONMENT, TIMEOUT_S, command
from tests.integration.fake_service import CUTOUT, RUNNING, Script, fake_service
from tests.service import wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")


class Watching:
    """A running `remove --watch`, and what it has told so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def names(self, kind: str) -> list[str]:
        """The photos whose lines have that key, sorted."""
        return sorted(Path(line["input"]).name for line in self.lines if kind in line)

    def end(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(TIMEOUT_S)
        self._reader.join()
        return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir()
    return path


@contextmanager
def watching(script: Script, folder: Path, *arguments: object) -> Iterator[Watching]:
    words = ["remove", "--watch", folder, "--json", *arguments]
    with (
        fake_service(script) as address,
        subprocess.Popen(
            command(*words, "--server", address), env=ENVIRONMENT, stdout=-1, stderr=-1, text=True
        ) as process,
    ):
        one = Watching(process)
        try:
            yield one
        finally:
            one.end()


def test_what_is_there_and_what_comes_is_done_once_and_results_never(folder: Path) -> None:
    """Results lie beside the photos, and would be photos themselves."""
    (folder / "there.jpg").write_bytes(b"there")
    (folder / "done.jpg").write_bytes(b"done")
    (folder / "done-cutout.png").write_bytes(b"an earlier result")
    (folder / "gone-mask.png").write_bytes(b"the result for a photo that was moved away")
    script = Script()
    with watching(script, folder) as one:
        wait_for(lambda: one.names("width") == ["there.jpg"], TIMEOUT_S)
        (folder / "comes.webp").write_bytes(b"comes")
        (folder / "notes.txt").write_text("no picture")
        wait_for(lambda: len(one.names("width")) == 2, TIMEOUT_S)
        (folder / "there.jpg").write_bytes(b"changed")
        wait_for(lambda: len(one.names("width")) == 3, TIMEOUT_S)
        assert one.end() == 0
    assert one.names("skipped") == ["done.jpg"]
    assert one.names("width") == ["comes.webp", "there.jpg", "there.jpg"]
    assert len(script.uploads) == 3
    assert (folder / "comes-cutout.png").read_bytes() == CUTOUT
    assert (folder / "done-cutout.png").read_bytes() == b"an earlier result"


def test_a_file_is_taken_only_when_it_is_whole(folder: Path) -> None:
    """A camera's card is slow, and half a photo is damaged."""
    script = Script()
    with watching(script, folder, "--out-dir", folder / "results") as one:
        with (folder / "slow.jpg").open("wb", buffering=0) as file:
            for _ in range(15):
                file.write(b"piece ")
                threading.Event().wait(0.2)
        wait_for(lambda: one.names("width"), TIMEOUT_S)
        assert one.end(signal.SIGTERM) == 0
    (upload,) = script.uploads
    assert b"piece " * 15 in upload
    assert (folder / "results" / "slow-cutout.png").read_bytes() == CUTOUT


def test_a_failed_photo_does_not_end_the_watch_and_a_mended_one_is_tried_again(folder: Path) -> None:
    """It goes on for weeks; nobody wants to start it anew for one file."""
    refusal = (422, {"detail": "The image is damaged or cut short.", "code": "damaged_image"})
    script = Script(refusal=refusal, refused_part=b"broken bytes")
    (folder / "photo.jpg").write_bytes(b"broken bytes")
    with watching(script, folder) as one:
        wait_for(lambda: one.names("error"), TIMEOUT_S)
        (folder / "photo.jpg").write_bytes(b"whole bytes now")
        wait_for(lambda: one.names("width"), TIMEOUT_S)
        assert one.end() == 0
    assert len(script.uploads) == 2


def test_a_photo_that_comes_in_a_second_format_has_a_result_of_its_own(folder: Path) -> None:
    """Phones write a.heic beside a.jpg; the later result would overwrite the earlier, or never be made."""
    (folder / "a.jpg").write_bytes(b"as JPEG")
    script = Script()
    with watching(script, folder) as one:
        wait_for(lambda: one.names("width") == ["a.jpg"], TIMEOUT_S)
        (folder / "a.webp").write_bytes(b"as WebP")
        wait_for(lambda: len(one.names("width")) == 2, TIMEOUT_S)
        assert one.end() == 0
    assert one.names("error") == []
    there = {path.name for path in folder.iterdir()}
    assert there == {"a.jpg", "a-cutout.png", "a.webp", "a.webp-cutout.png"}


def test_a_photo_that_a_restarting_server_could_not_take_comes_again(folder: Path) -> None:
    """The server's bad moment is no fault of the photo's."""
    script = Script(refusal=(503, {"detail": "The service is stopping.", "code": "stopping"}))
    (folder / "photo.jpg").write_bytes(b"photo")
    with watching(script, folder) as one:
        wait_for(lambda: len(script.uploads) > 1, TIMEOUT_S)
        script.refusal = None
        wait_for(lambda: one.names("width"), TIMEOUT_S)
        assert one.end() == 0
    assert one.names("error") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_photo_ends_it_cleanly(folder: Path, number: int) -> None:
    """A service manager stops it so; code 0 says that nothing went wrong."""
    (folder / "photo.jpg").write_bytes(b"photo")
    script = Script(states=[RUNNING], hold_stream=True)
    with watching(script, folder) as one:
        wait_for(lambda: script.streams, TIMEOUT_S)
        assert one.end(number) == 0
    assert script.cancelled
    assert [path.name for path in folder.iterdir()] == ["photo.jpg"]


def test_a_folder_that_goes_away_ends_the_watch_with_a_sentence(folder: Path) -> None:
    """Else it would wait for ever for what cannot come."""
    with watching(Script(), folder) as one:
        threading.Event().wait(1)
        folder.rmdir()
        assert one.process.wait(TIMEOUT_S) == 1
    assert "cannot read the folder" in one.lines[-1]["error"]["detail"]
