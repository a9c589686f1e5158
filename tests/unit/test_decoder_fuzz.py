"""No damaged or hostile file crashes, hangs or fills the memory of the process that decodes photos."""

import subprocess
import sys
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
    children = []
    for index in range(PROCESSES):
        folder = tmp_path / str(index)
        folder.mkdir()
        numbers = [str(index * share), str((index + 1) * share)]
        command = [sys.executable, "-m", "tests.fuzz_decoder", *numbers, str(folder)]
        pipe = subprocess.PIPE
        children.append((folder, subprocess.Popen(command, cwd=ROOT, text=True, stdout=pipe, stderr=pipe)))
    for folder, child in children:
        out, errors = child.communicate()
        told = f"file {(folder / 'number').read_text()}, kept as {folder / 'photo'}:\n{errors}"
        assert child.returncode == 0, told
        assert "Warning" not in errors, (
            told
        )  # libtiff alone has its say there, and cannot be told to be silent
        read, peak_bytes = map(int, out.split())
        assert share * 0.05 < read < share * 0.95, "the damage is too great, or too small, to find anything"
        assert peak_bytes < MAX_BYTES
