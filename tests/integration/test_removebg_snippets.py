"""The programs in "Coming from remove.bg", as a reader would paste them."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.integration.test_documentation import DOCS, code_blocks
from tests.photos import wish
from tests.service import OBEYS, Service

# By the kind of the block: the program that runs it, and the file that it is in.
PROGRAMS = {
    "bash": ("bash", "call.sh"),
    "js": ("node", "call.mjs"),
    "python": (sys.executable, "call.py"),
    "php": ("php", "call.php"),
}


def test_each_program_saves_the_result(start: Callable[..., Service], tmp_path: Path) -> None:
    """In every language that is installed."""
    service = start(token="secret", builtin_worker=OBEYS)
    (tmp_path / "photo.jpg").write_bytes(wish())
    for kind, (program, name) in PROGRAMS.items():
        if shutil.which(program) is None:
            continue
        block = code_blocks(DOCS / "compatibility.md", kind)[0]
        (tmp_path / name).write_text(block.replace("localhost:6905", urlsplit(service.url).netloc))
        run = subprocess.run([program, name], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        result = tmp_path / "cutout.png"
        assert result.read_bytes() == wish(), kind
        result.unlink()
