"""Batches of images, against a fake service."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import ENVIRONMENT, TIMEOUT_S, Run, bgremove, command
from tests.integration.fake_service import CUTOUT, RUNNING, Script, fake_service
from tests.service import wait_for

DAMAGED = (422, {"detail": "The image is damaged or cut short.", "code": "damaged_image"})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with images, other files and a subfolder."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for name in ("one.jpg", "two.PNG", "trip/three.webp"):
        (folder / name).write_bytes(b"photo " + name.encode())
    (folder / "no ending").write_bytes(b"\xff\xd8\xff a JPEG all the same")
    (folder / "notes.txt").write_text("BM is how a bitmap starts, and this text too")
    (folder / "._one.jpg").write_bytes(b"what macOS leaves behind")
    (folder / "four.jpg.part").write_bytes(b"\xff\xd8\xff a partial download")
    return folder


def remove(script: Script, *arguments: object, folder: Path | None = None) -> Run:
    with fake_service(script) as address:
        return subprocess.run(
            command("remove", "--server", address, *arguments),
            cwd=folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def lines(done: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_image_in_a_folder_is_processed(photos: Path) -> None:
    """Other files, hidden files and partial downloads are skipped."""
    script = Script()
    done = remove(script, photos)
    assert (done.returncode, done.stdout) == (0, "")
    made = {"one-cutout.png", "two-cutout.png", "no ending-cutout.png"}
    assert made == {path.name for path in photos.iterdir() if path.name.endswith("-cutout.png")}
    assert (photos / "one-cutout.png").read_bytes() == CUTOUT
    assert len(script.uploads) == 3
    assert script.deleted == 3, "else a batch could fill the server's disk"
    assert done.stderr.splitlines()[-1].startswith("bgremove: wrote 3, in ")


def test_recursive_reproduces_subfolders_in_the_output_folder(photos: Path, tmp_path: Path) -> None:
    """Images of the same name in two folders must not share an output file."""
    (photos / "trip" / "one.jpg").write_bytes(b"another one")
    out = tmp_path / "results" / "new"
    done = remove(Script(), photos, "--recursive", "--out-dir", out, "--suffix", "")
    assert done.returncode == 0, done.stderr
    assert tree(out) == ["no ending.png", "one.png", "trip/one.png", "trip/three.png", "two.png"]


def test_images_whose_names_differ_in_the_extension_only_keep_it(tmp_path: Path) -> None:
    """Phones and cameras write pairs, a.heic and a.jpg: each needs its own result."""
    photos = tmp_path / "pairs"
    photos.mkdir()
    for name in ("a.webp", "a.jpg", "a.webp.png", "b.jpg"):
        (photos / name).write_bytes(b"photo " + name.encode())
    script = Script()
    assert remove(script, photos).returncode == 0
    made = {path.name for path in photos.iterdir() if path.name.endswith("-cutout.png")}
    assert made == {"a.webp-cutout.png", "a.jpg-cutout.png", "a.webp.png-cutout.png", "b-cutout.png"}
    again = remove(script, *photos.iterdir())  # as a shell expands photos/*
    assert (again.returncode, len(script.uploads)) == (0, 4), again.stderr


def test_results_in_a_subfolder_are_never_processed(photos: Path) -> None:
    """Otherwise each run would double them."""
    for _ in range(2):
        script = Script()
        done = remove(script, photos, "--recursive", "--out-dir", photos / "done", "--suffix=", "--overwrite")
        assert done.returncode == 0, done.stderr
        assert len(script.uploads) == 4


def test_a_second_run_skips_images_that_are_up_to_date(photos: Path) -> None:
    """An interrupted batch continues, also if the shell's pattern matched results."""
    assert remove(Script(), photos).returncode == 0
    changed = photos / "one.jpg"
    later = (photos / "one-cutout.png").stat().st_mtime + 10
    os.utime(changed, (later, later))
    (photos / "five.bmp").write_bytes(b"new")
    script = Script()
    done = remove(script, *[photos / name for name in tree(photos) if name[-1] in "gp" and name[0] != "."])
    assert done.returncode == 0, done.stderr
    assert len(script.uploads) == 3, "the changed one, the new one, and the one in the folder"
    assert "skipped 3 results of earlier runs" in done.stderr
    assert "wrote 3, skipped 1 up to date" in done.stderr.splitlines()[-1]


def test_a_run_with_nothing_to_do_starts_no_server(photos: Path) -> None:
    """It needs no connection, no install and no model."""
    assert remove(Script(), photos).returncode == 0
    done = bgremove("remove", photos, "--json", settings={"BGREMOVE_NO_BOOTSTRAP": ""})
    assert (done.returncode, done.stderr) == (0, "")
    assert [line["skipped"] for line in lines(done)] == [True, True, True]


def test_a_failed_image_is_summarised_and_stops_no_other(photos: Path) -> None:
    """One damaged file must not abort a batch of thousands."""
    script = Script(refusal=DAMAGED, refused_part=b"photo one.jpg")
    done = remove(script, photos, "--jobs", "1")
    assert done.returncode == 1
    assert len(script.uploads) == 3
    assert done.stderr.splitlines()[-2:][0] == (
        f"bgremove: failed: {photos / 'one.jpg'}: The image is damaged or cut short."
    )
    assert done.stderr.splitlines()[-1].startswith("bgremove: wrote 2, 1 failed, in ")
    assert not list(photos.rglob("*.png.*"))


def test_json_output_has_one_line_per_image(photos: Path) -> None:
    """Programs can process each line as it appears (JSON Lines)."""
    script = Script(refusal=DAMAGED, refused_part=b"photo one.jpg")
    done = remove(script, photos, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    reports = {Path(line["input"]).name: line for line in lines(done)}
    assert set(reports) == {"one.jpg", "two.PNG", "no ending"}
    assert reports["one.jpg"]["error"]["code"] == "damaged_image"
    assert reports["two.PNG"]["output"] == str(photos / "two-cutout.png")
    assert reports["two.PNG"]["width"] == 640


def test_an_error_of_every_image_is_reported_once(photos: Path) -> None:
    """The run stops at the first."""
    refusal = (422, {"detail": "The field 'max_size' is not valid.", "code": "invalid_option"})
    script = Script(refusal=refusal)
    done = remove(script, photos, "--jobs", "1", "--max-size", "1")
    assert done.returncode == 1
    assert done.stderr.count("--max-size is not valid") == 1


def test_an_error_that_one_image_of_several_meets_does_not_end_the_run(photos: Path) -> None:
    """A result was written, so the options are valid: the others are still processed."""
    refusal = (422, {"detail": "The field 'margin' is not valid.", "code": "invalid_option"})
    script = Script(refusal=refusal, refused_part=b"photo one.jpg")
    done = remove(
        script, photos / "two.PNG", photos / "one.jpg", photos / "no ending", "--jobs", "1", "--json"
    )
    assert done.returncode == 1
    assert [Path(line["input"]).name for line in lines(done)] == ["two.PNG", "one.jpg", "no ending"]
    assert len(script.uploads) == 3


def test_a_full_queue_is_retried(photos: Path) -> None:
    """Other clients may use the same server; a 429 names the delay."""
    script = Script(busy=2)
    done = remove(script, photos, "--json")
    assert done.returncode == 0, done.stdout
    assert len(script.uploads) == 5


@pytest.mark.parametrize("code", ["stopping", "not_found"])
def test_a_server_restart_loses_no_image(photos: Path, code: str) -> None:
    """Images in flight are uploaded again; the new server does not know the old tasks."""
    script = Script(refusal=(503, {"detail": "Not now.", "code": code}))

    def recover() -> None:
        wait_for(lambda: len(script.uploads) > 2, TIMEOUT_S)
        script.refusal = None

    recovery = threading.Thread(target=recover)
    recovery.start()
    done = remove(script, photos)
    recovery.join()
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("bgremove: wrote 3, in ")


def test_an_unreachable_server_is_reported_once(photos: Path) -> None:
    """Not once per image."""
    done = bgremove("remove", photos, "--server", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no connection to http://127.0.0.1:9" in done.stderr


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_sets_the_concurrency(photos: Path, jobs: int) -> None:
    """A shared server may need one at a time, a fast one many."""
    script = Script(slow_s=1)
    assert remove(script, photos, "--jobs", jobs).returncode == 0
    assert script.max_concurrent == jobs


def test_a_glob_pattern_is_expanded(photos: Path) -> None:
    """The shells of Windows do not."""
    script = Script()
    assert remove(script, "**/*.[jw]*[gp]", "--out-dir", "out", folder=photos).returncode == 0
    assert tree(photos / "out") == ["one-cutout.png", "three-cutout.png"]


@pytest.mark.parametrize("name", ["My [Photos]", "a*b", "what?"])
def test_a_pattern_below_a_folder_with_special_characters_is_expanded(photos: Path, name: str) -> None:
    """No image was found in a folder whose name is a pattern itself."""
    (photos / name / "[2024]").mkdir(parents=True)
    (photos / "one.jpg").rename(photos / name / "[2024]" / "one.jpg")
    script = Script()
    outcome = remove(script, f"{name}/[2024]/*.jpg", "--out-dir", "out", folder=photos)
    assert outcome.returncode == 0, outcome.stderr
    assert tree(photos / "out") == ["one-cutout.png"]


def test_urls_are_fetched_by_the_service(tmp_path: Path) -> None:
    """The output name is derived from the URL and cannot leave the output folder (path traversal)."""
    script = Script()
    addresses = [
        "https://example.com/a%20cat.jpg?size=1",
        "http://example.com/..%2f..%2fdog.jpg",
        "http://b.example",
    ]
    done = remove(script, *addresses, "--crop", "--max-size", 64, "--out-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(script.paths) == {"/api/v1/remove/url"}
    assert sorted(json.loads(upload)["url"] for upload in script.uploads) == sorted(addresses)
    assert {json.loads(upload)["crop"] for upload in script.uploads} == {True}
    assert tree(tmp_path) == ["a cat-cutout.png", "dog-cutout.png", "image-cutout.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_terminal_shows_a_bar_with_rate_and_remaining_time(photos: Path) -> None:
    """A long batch without them would appear to hang."""
    screen, terminal = pty.openpty()
    with fake_service(Script(slow_s=0.2)) as address:
        subprocess.run(
            command("remove", photos, "--server", address, "--jobs", "1"),
            env=ENVIRONMENT | {"COLUMNS": "100"},
            stderr=terminal,
            timeout=TIMEOUT_S,
            check=True,
        )
    os.close(terminal)
    shown = os.read(screen, 100_000).decode()
    os.close(screen)
    assert re.search(r"\[#{8}-{16}\]  33%  1 of 3, .* (images/s|s per image), \d+ s left", shown), shown
    assert shown.endswith(" s\r\n")
    assert "wrote 3" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_cancels_running_tasks_and_leaves_no_partial_file(photos: Path) -> None:
    """Also on a shared server, where they would delay other clients."""
    script = Script(states=[RUNNING], hold_stream=True)
    before = tree(photos)
    with (
        fake_service(script) as address,
        subprocess.Popen(
            command("remove", photos, "--server", address), env=ENVIRONMENT, stderr=-1
        ) as process,
    ):
        wait_for(lambda: script.streams == 2, TIMEOUT_S)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read().endswith(b"bgremove: stopped\n")
        assert process.wait(TIMEOUT_S) == 130
    assert script.cancelled
    assert len(script.uploads) == 2
    assert tree(photos) == before


def test_warnings_of_a_result_are_printed(photos: Path) -> None:
    """As for an animation, of which the first frame was used: as a sentence, and as JSON."""
    script = Script()
    script.result["warnings"] = ["The image is animated: only its first frame was used."]
    done = remove(script, photos / "one.jpg")
    assert f"{photos / 'one.jpg'}: The image is animated: only its first frame was used." in done.stderr
    done = remove(script, photos, "--json", "--overwrite")
    assert all(line["warnings"] == script.result["warnings"] for line in lines(done))


def test_images_of_kinds_that_are_not_read_are_counted(photos: Path) -> None:
    """A folder from a camera holds the raw files, too: the user should know that they were not processed."""
    for name in ("a.NEF", "b.cr2", "c.jxl", "d.jp2", "e.ico", "f.txt"):
        (photos / name).write_bytes(b"another kind")
    done = remove(Script(), photos)
    assert (
        "not read: 1 ICO, 1 JPEG 2000, 1 JPEG XL, 2 camera raw; convert them to JPEG or TIFF" in done.stderr
    )
    for path in photos.iterdir():
        if path.is_file() and path.suffix.lower() not in (".nef", ".ico"):
            path.unlink()
    assert "not read: 1 ICO, 1 camera raw" in remove(Script(), photos).stderr
