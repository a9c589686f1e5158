"""Fuzzing the decoder: no corrupt or malicious file crashes it, hangs it or exhausts its memory."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

FILES, PROCESSES = 5000, 2
MAX_BYTES = 1 << 30
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the resource module needs POSIX")
def test_five_thousand_corrupt_files_are_rejected_or_decoded(tmp_path: Path) -> None:
    """In child processes, so that a decoder's crash is detected."""
    share = FILES // PROCESSES
    with ExitStack() as stack:
        children = []
        for index in range(PROCESSES):
            folder = tmp_path / str(index)
            folder.mkdir()
            child = stack.enter_context(start_decoding(index * share, (index + 1) * share, folder))
            stack.callback(child.kill)  # after a failure, its processes and pipes would disturb later tests
            children.append((folder, child))
        for folder, child in children:
            out, errors = child.communicate()
            report = f"file {(folder / 'number').read_text()}, kept as {folder / 'photo'}:\n{errors}"
            assert child.returncode == 0, report
            assert "Warning" not in errors, report  # libtiff writes its own messages there
            read, peak_bytes = map(int, out.split())
            assert share * 0.05 < read < share * 0.95, "too much or too little damage to find anything"
            assert peak_bytes < MAX_BYTES


def start_decoding(first: int, last: int, folder: Path) -> subprocess.Popen[str]:
    """Start a process that decodes these files."""
    command = [sys.executable, "-m", "tests.fuzz_decoder", str(first), str(last), str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=pipe, stderr=pipe)
