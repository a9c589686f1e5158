"""scripts/bgremove.py as its users run it, against a scripted service."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import (
    ENVIRONMENT,
    TIMEOUT_S,
    bgremove,
    command,
    files_beside,
    remove,
)
from tests.integration.fake_service import (
    CUTOUT,
    QUEUED,
    RESULT,
    RUNNING,
    TASK_ID,
    Script,
    fake_service,
    state,
)
from tests.service import wait_for


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.jpg"
    path.write_bytes(b"\xff\xd8 not looked at by the command line")
    return path


def test_a_program_reads_one_json_object_and_finds_the_cutout(photo: Path) -> None:
    """Anything else on standard output would break every script that pipes it."""
    output = photo.with_name("cutout.png")
    done = remove(Script(), photo, "-o", output, "--json")
    report = json.loads(done.stdout)
    assert report.pop("seconds") >= 0
    facts = {name: value for name, value in RESULT.items() if name != "result_url"}
    assert report == {"input": str(photo), "output": str(output), **facts}
    assert (done.returncode, done.stderr) == (0, "")
    assert output.read_bytes() == CUTOUT


def test_a_person_reads_where_the_cutout_is(photo: Path) -> None:
    """Without -o it lies beside the photo; the words go to standard error, a line for each thing."""
    done = remove(Script(), photo)
    assert (done.returncode, done.stdout) == (0, "")
    assert "bgremove: Removing the background\n" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "my photo-cutout.png" in last
    assert "640 x 480" in last
    assert "builtin" in last
    assert files_beside(photo) == ["my photo-cutout.png"]


@pytest.mark.parametrize("model", [None, "auto", "birefnet", "builtin"])
def test_the_model_is_sent_only_when_it_was_asked_for(photo: Path, model: str | None) -> None:
    """The server's own default must stay in force for people who don't choose."""
    script = Script()
    assert remove(script, photo, *(["--model", model] if model else [])).returncode == 0
    (upload,) = script.uploads
    assert b'name="file"; filename="my photo.jpg"' in upload
    assert (b'name="model"' in upload) == bool(model)
    assert model is None or model.encode() in upload


@pytest.mark.parametrize("way", ["option", "environment", "none"])
def test_the_token_goes_with_every_request(photo: Path, way: str) -> None:
    """A protected server would refuse the request that lacks it."""
    script = Script()
    options = ["--token", "secret"] if way == "option" else []
    settings = {"BGREMOVE_TOKEN": "secret\n"} if way == "environment" else {}
    assert remove(script, photo, *options, settings=settings).returncode == 0
    assert script.tokens == {None if way == "none" else "Bearer secret"}


REFUSAL = (422, {"detail": "The image is damaged or cut short.", "code": "damaged_image"})
NO_BACKGROUND = {"detail": "Give 'background' or 'background_file'.", "code": "invalid_option"}
ELSEWHERE = {**RESULT, "result_url": "http://elsewhere.example/x.png"}
FAILING_TASK = [QUEUED, state("error", 0, "There was not enough memory for this image.", "out_of_memory")]
ERRORS: dict[str, tuple[dict[str, Any], str, str]] = {
    "refused upload": ({"refusal": REFUSAL}, "damaged_image", "The image is damaged or cut short."),
    "refused option": (
        {"refusal": (422, NO_BACKGROUND)},
        "invalid_option",
        "Give --background or --background-file.",
    ),
    "failed task": ({"states": FAILING_TASK}, "out_of_memory", "There was not enough memory for this image."),
    "torn download": ({"torn_download": True}, "unreachable", "no connection to http://"),
    "result elsewhere": ({"result": ELSEWHERE}, "bad_answer", "the server put the cutout elsewhere"),
    "not bgremove": ({"refusal": (200, {"hello": "world"})}, "bad_answer", "did not answer like bgremove"),
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_is_one_sentence_and_leaves_no_file(photo: Path, case: str, as_json: bool) -> None:  # noqa: FBT001
    """Half a cutout, or a traceback, would be taken for a result or a bug."""
    happening, code, sentence = ERRORS[case]
    done = remove(Script(**happening), photo, *(["--json"] if as_json else []))
    assert done.returncode == 1
    assert files_beside(photo) == []
    if as_json:
        report = json.loads(done.stdout)
        assert report["input"] == str(photo)
        assert report["error"]["code"] == code
        assert sentence in report["error"]["detail"]
    else:
        assert done.stdout == ""
        last = done.stderr.splitlines()[-1]
        assert last.startswith("bgremove: ")
        assert sentence in last


@pytest.mark.parametrize("drops", [1, 2])
def test_a_dropped_event_stream_does_not_lose_the_cutout(photo: Path, drops: int) -> None:
    """Proxies and laptops that sleep break connections while the server goes on working."""
    script = Script(drops=drops)
    done = remove(script, photo, "--json")
    assert done.returncode == 0, done.stdout
    assert script.streams == drops + 1
    assert files_beside(photo) == ["my photo-cutout.png"]


def test_no_server_there_is_said_so(photo: Path) -> None:
    """The address is what the person has to look at."""
    with fake_service(Script()) as address:
        pass
    done = bgremove("remove", photo, "--server", address)
    assert done.returncode == 1
    assert f"bgremove: no connection to {address}" in done.stderr


def _folder(photo: Path) -> list[object]:
    return [photo, "-o", photo.parent]


MISUSES: dict[str, tuple[Callable[[Path], list[object]], str]] = {
    "missing photo": (lambda photo: [photo.with_name("nothing.jpg")], "there is no file"),
    "folder as output": (_folder, "is a folder"),
    "output in no folder": (lambda photo: [photo, "-o", photo.parent / "no" / "x.png"], "there is no folder"),
    "output is the photo": (lambda photo: [photo, "-o", photo], "overwrite the photo"),
    "unknown option": (lambda photo: [photo, "--frobnicate"], "--frobnicate"),
    "unknown model": (lambda photo: [photo, "--model", "huge"], "huge"),
    "address without a scheme": (
        lambda photo: [photo, "--server", "localhost:6905"],
        "http://127.0.0.1:6905",
    ),
    "token that cannot be sent": (lambda photo: [photo, "--token", "geheim\N{KEY}"], "token"),
}


@pytest.mark.parametrize("case", MISUSES)
def test_a_mistake_on_the_command_line_ends_with_code_2_at_once(photo: Path, case: str) -> None:
    """Nothing may be installed or started for a command that cannot work."""
    arguments, sentence = MISUSES[case]
    # Without the variable that forbids installs: there must be no attempt at one.
    done = bgremove("remove", *arguments(photo), settings={"BGREMOVE_NO_BOOTSTRAP": ""})
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "installing" not in done.stderr
    assert "Traceback" not in done.stderr
    assert files_beside(photo) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to one process there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ending_the_command_cancels_its_photo_on_a_shared_server(
    photo: Path, number: signal.Signals, code: int
) -> None:
    """Others wait in that server's queue, behind a photo that nobody wants any more."""
    script = Script(states=[RUNNING], hold_stream=True)
    with (
        fake_service(script) as address,
        subprocess.Popen(
            command("remove", photo, "--server", address), env=ENVIRONMENT, stderr=-1
        ) as process,
    ):
        wait_for(lambda: script.streams == 1, TIMEOUT_S)
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == code
    assert script.cancelled == [f"/api/v1/tasks/{TASK_ID}"]
    assert files_beside(photo) == []
