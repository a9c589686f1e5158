"""scripts/bgremove.py against a fake service: output, options, errors, signals."""

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
    remove,
    sibling_files,
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
    path.write_bytes(b"\xff\xd8 not decoded by the command line")
    return path


def test_a_program_reads_one_json_object_and_finds_the_cutout(photo: Path) -> None:
    """Any other text on standard output would break scripts that parse it."""
    output = photo.with_name("cutout.png")
    done = remove(Script(), photo, "-o", output, "--json")
    report = json.loads(done.stdout)
    assert report.pop("seconds") >= 0
    facts = {name: value for name, value in RESULT.items() if name != "result_url"}
    assert report == {"input": str(photo), "output": str(output), **facts}
    assert (done.returncode, done.stderr) == (0, "")
    assert output.read_bytes() == CUTOUT


def test_the_text_output_names_the_result(photo: Path) -> None:
    """Without -o the result is written next to the image; messages go to standard error."""
    done = remove(Script(), photo)
    assert (done.returncode, done.stdout) == (0, "")
    assert "bgremove: Removing the background\n" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "my photo-cutout.png" in last
    assert "640 x 480" in last
    assert "builtin" in last
    assert sibling_files(photo) == ["my photo-cutout.png"]


@pytest.mark.parametrize("model", [None, "auto", "birefnet", "builtin"])
def test_the_model_is_sent_only_if_given(photo: Path, model: str | None) -> None:
    """Otherwise the server's default applies."""
    script = Script()
    assert remove(script, photo, *(["--model", model] if model else [])).returncode == 0
    (upload,) = script.uploads
    assert b'name="file"; filename="my photo.jpg"' in upload
    assert (b'name="model"' in upload) == bool(model)
    assert model is None or model.encode() in upload


@pytest.mark.parametrize("way", ["option", "environment", "none"])
def test_every_request_carries_the_token(photo: Path, way: str) -> None:
    """A protected server refuses requests without it."""
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
    "truncated download": ({"truncated_download": True}, "unreachable", "no connection to http://"),
    "result on another host": ({"result": ELSEWHERE}, "bad_answer", "the result is on another host"),
    "not bgremove": ({"refusal": (200, {"hello": "world"})}, "bad_answer", "did not answer like bgremove"),
}


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_is_one_sentence_and_leaves_no_file(photo: Path, case: str, as_json: bool) -> None:  # noqa: FBT001
    """A partial result would pass for a complete one, and a traceback for a bug."""
    script, code, sentence = ERRORS[case]
    done = remove(Script(**script), photo, *(["--json"] if as_json else []))
    assert done.returncode == 1
    assert sibling_files(photo) == []
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
def test_a_dropped_event_stream_does_not_lose_the_result(photo: Path, drops: int) -> None:
    """Proxies and suspended laptops break connections while the server continues."""
    script = Script(drops=drops)
    done = remove(script, photo, "--json")
    assert done.returncode == 0, done.stdout
    assert script.streams == drops + 1
    assert sibling_files(photo) == ["my photo-cutout.png"]


def test_an_unreachable_server_is_named(photo: Path) -> None:
    """Its URL is what the user has to check."""
    with fake_service(Script()) as address:
        pass
    done = bgremove("remove", photo, "--server", address)
    assert done.returncode == 1
    assert f"bgremove: no connection to {address}" in done.stderr


def _folder(photo: Path) -> list[object]:
    return [photo, "-o", photo.parent]


USAGE_ERRORS: dict[str, tuple[Callable[[Path], list[object]], str]] = {
    "missing photo": (lambda photo: [photo.with_name("nothing.jpg")], "there is no file"),
    "folder as output": (_folder, "is a folder"),
    "output in no folder": (lambda photo: [photo, "-o", photo.parent / "no" / "x.png"], "there is no folder"),
    "output is the photo": (lambda photo: [photo, "-o", photo], "overwrite the input image"),
    "unknown option": (lambda photo: [photo, "--frobnicate"], "--frobnicate"),
    "unknown model": (lambda photo: [photo, "--model", "huge"], "huge"),
    "address without a scheme": (
        lambda photo: [photo, "--server", "localhost:6905"],
        "http://127.0.0.1:6905",
    ),
    "token that cannot be sent": (lambda photo: [photo, "--token", "geheim\N{KEY}"], "token"),
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_a_usage_error_exits_with_code_2_before_any_install(photo: Path, case: str) -> None:
    """Nothing may be installed or started for arguments that cannot work."""
    arguments, sentence = USAGE_ERRORS[case]
    # Without the variable that disables installs: none may be attempted.
    done = bgremove("remove", *arguments(photo), settings={"BGREMOVE_NO_BOOTSTRAP": ""})
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "installing" not in done.stderr
    assert "Traceback" not in done.stderr
    assert sibling_files(photo) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to a single process there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ending_the_command_cancels_its_task_on_a_shared_server(
    photo: Path, number: signal.Signals, code: int
) -> None:
    """Otherwise the abandoned task would delay other clients in the queue."""
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
    assert sibling_files(photo) == []
