"""What the supervisor hears of a worker that says much at once, and of its end."""

from pathlib import Path

import pytest

from shared.messages import Event, Failed, Loading, Progress
from supervisor.workers.process import _coalesce_progress, how_ended, signal_name
from supervisor.workers.stderr_tail import delete, last_line, read_tail


def test_of_each_load_and_removal_only_the_last_progress_is_passed_on() -> None:
    """In the order in which the last progress of each came; what is no progress is never left out."""
    failed = Failed("a", "damaged_image", "It is damaged.")
    text: list[Event] = [
        Loading(1, "Loading"),
        Progress("a", 5, "Decoding"),
        Progress("b", 5, "Decoding"),
        Loading(2, "Loading"),
        Progress("a", 45, "Removing"),
        failed,
        failed,
        Progress("b", 45, "Removing"),
    ]
    kept = [
        Loading(2, "Loading"),
        Progress("a", 45, "Removing"),
        failed,
        failed,
        Progress("b", 45, "Removing"),
    ]
    assert _coalesce_progress(text) == kept


def test_any_end_can_be_told() -> None:
    """An end that cannot be put into words would be one that nobody hears of."""
    assert (signal_name(-9), how_ended(-9)) == ("SIGKILL", "by SIGKILL")
    assert how_ended(-45) == "by signal 45"  # one of the real-time signals
    assert (signal_name(3), how_ended(3)) == (None, "with code 3")
    assert signal_name(None) is None


def test_a_log_that_cannot_be_deleted_holds_nothing_up(tmp_path: Path) -> None:
    """On Windows a virus scanner may read it; who waits for the worker's end would wait forever."""
    held = tmp_path / "worker.log"
    held.mkdir()  # unlink() fails on it as on a file that is in use
    delete(held)
    delete(tmp_path / "gone.log")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OSError: [Errno 2] No such file: '/home/ada/.venv/lib/model.onnx'", "'model.onnx'"),
        ("ImportError: libcuda.so: cannot open /usr/lib/x86_64-linux-gnu/libcuda.so", "open libcuda.so"),
        (r'File "C:\Users\Ada\bgremove\worker.py" is missing', 'File "worker.py" is missing'),
        (r"cannot load 'C:\Users\Ada Byron\App Data\x.dll'", "cannot load 'x.dll'"),
        ("answers on https://example.com/a/b in 3/4 of all cases", "https://example.com/a/b in 3/4"),
    ],
)
def test_a_childs_last_words_name_no_folder_of_this_machine(tmp_path: Path, text: str, expected: str) -> None:
    """They go into sentences for clients; where things lie is nobody's business."""
    log = tmp_path / "log"
    log.write_text(f"Traceback\n{text}\n")
    line = last_line(log)
    assert expected in line
    assert "ada" not in line.lower()
    assert "/usr" not in line


def test_nor_does_a_traceback(tmp_path: Path) -> None:
    """The status gives it out; the file and the line help, the user's name does not."""
    log = tmp_path / "log"
    frames = 'File "/home/ada/bgremove/worker/main.py", line 31 in serve\n    run()\n'
    log.write_text(f"Fatal Python error: Segmentation fault\n  {frames}")
    assert read_tail(log) == [
        "Fatal Python error: Segmentation fault",
        '  File "main.py", line 31 in serve',
        "    run()",
    ]
