"""`remove --watch`, against a fake service."""

import json
import os
import shutil
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
    """A running `remove --watch` and the JSON lines it has printed."""

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
        """Return the images whose lines have that key, sorted."""
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


def test_present_and_new_images_are_processed_once_and_results_never(folder: Path) -> None:
    """Results are written next to the images and are images themselves."""
    (folder / "there.jpg").write_bytes(b"there")
    (folder / "done.jpg").write_bytes(b"done")
    (folder / "done-cutout.png").write_bytes(b"an earlier result")
    (folder / "gone-mask.png").write_bytes(b"the result of an image that was moved away")
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


def test_a_file_is_uploaded_only_once_it_is_complete(folder: Path) -> None:
    """Copying from a camera's card is slow, and a partial file is a damaged image."""
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


def test_a_failed_image_does_not_end_the_watch_and_is_retried_once_it_changes(folder: Path) -> None:
    """A watch runs for weeks; one file must not require a restart."""
    refusal = (422, {"detail": "The image is damaged or cut short.", "code": "damaged_image"})
    script = Script(refusal=refusal, refused_part=b"broken bytes")
    (folder / "photo.jpg").write_bytes(b"broken bytes")
    with watching(script, folder) as one:
        wait_for(lambda: one.names("error"), TIMEOUT_S)
        (folder / "photo.jpg").write_bytes(b"whole bytes now")
        wait_for(lambda: one.names("width"), TIMEOUT_S)
        assert one.end() == 0
    assert len(script.uploads) == 2


def test_another_image_under_the_name_of_a_deleted_one_is_processed(folder: Path) -> None:
    """Cameras count from IMG_0001 again; the new photo has the old one's size, and may be older."""
    script, photo = Script(), folder / "IMG_0001.jpg"
    photo.write_bytes(b"first photo")
    with watching(script, folder) as one:
        wait_for(lambda: one.names("width"), TIMEOUT_S)
        photo.unlink()
        threading.Event().wait(1)
        photo.write_bytes(b"other photo")
        os.utime(photo, (1e9, 1e9))
        wait_for(lambda: len(one.names("width")) == 2, TIMEOUT_S)
        assert one.end() == 0
    assert [b"other photo" in upload for upload in script.uploads] == [False, True]


def test_an_image_in_a_second_format_has_its_own_result(folder: Path) -> None:
    """Phones write pairs, a.heic and a.jpg; the later result must not overwrite the earlier one."""
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


def test_an_image_refused_by_a_stopping_server_is_retried(folder: Path) -> None:
    """The image did not cause the error."""
    script = Script(refusal=(503, {"detail": "The service is stopping.", "code": "stopping"}))
    (folder / "photo.jpg").write_bytes(b"photo")
    with watching(script, folder) as one:
        wait_for(lambda: len(script.uploads) > 1, TIMEOUT_S)
        script.refusal = None
        wait_for(lambda: one.names("width"), TIMEOUT_S)
        assert one.end() == 0
    assert one.names("error") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_removal_ends_the_watch_cleanly(folder: Path, number: int) -> None:
    """As sent by a service manager; exit code 0 means success."""
    (folder / "photo.jpg").write_bytes(b"photo")
    script = Script(states=[RUNNING], hold_stream=True)
    with watching(script, folder) as one:
        wait_for(lambda: script.streams, TIMEOUT_S)
        assert one.end(number) == 0
    assert script.cancelled
    assert [path.name for path in folder.iterdir()] == ["photo.jpg"]


def test_a_deleted_folder_ends_the_watch_with_an_error(folder: Path) -> None:
    """Otherwise it would wait forever."""
    (folder / "there.jpg").write_bytes(b"there")
    with watching(Script(), folder) as one:
        wait_for(lambda: one.names("width"), TIMEOUT_S)
        shutil.rmtree(folder)
        assert one.process.wait(TIMEOUT_S) == 1
    assert "cannot read the folder" in one.lines[-1]["error"]["detail"]
