"""No damaged or hostile file crashes, hangs or fills the memory of the process that decodes photos."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

FILES, PROCESSES = 5000, 2
MAX_BYTES = 1 << 30
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no peak memory this way")
def test_five_thousand_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    """In processes of their own, so that a decoder's crash is seen as one."""
    share = FILES // PROCESSES
    with ExitStack() as stack:
        children = []
        for index in range(PROCESSES):
            folder = tmp_path / str(index)
            folder.mkdir()
            child = stack.enter_context(decoding(index * share, (index + 1) * share, folder))
            stack.callback(child.kill)  # one that a failure leaves, and its pipes, would trouble later tests
            children.append((folder, child))
        for folder, child in children:
            out, errors = child.communicate()
            told = f"file {(folder / 'number').read_text()}, kept as {folder / 'photo'}:\n{errors}"
            assert child.returncode == 0, told
            assert "Warning" not in errors, told  # libtiff alone has its say there, come what may
            read, peak_bytes = map(int, out.split())
            assert share * 0.05 < read < share * 0.95, "damage too great, or too small, to find anything"
            assert peak_bytes < MAX_BYTES


def decoding(first: int, last: int, folder: Path) -> subprocess.Popen[str]:
    """Start a process that decodes these files."""
    command = [sys.executable, "-m", "tests.fuzz_decoder", str(first), str(last), str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=pipe, stderr=pipe)
