"""Import probe: modules that import, fail, crash and hang."""

import asyncio
import time
from pathlib import Path

import pytest

from supervisor.environment.diagnostics import CRASHED, TIMED_OUT, Failure
from supervisor.environment.import_probe import Outcome, probe

GOOD = Outcome(None)
MODULES = {
    "probed_good": "",
    "probed_noisy": "import os; print('{}'); os.write(1, b'{\"end\": 1'); os.write(2, b'no newline')",
    "probed_segfault": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "probed_exit": "import os; os._exit(0)",
    "probed_system_exit": "raise SystemExit(3)",
    "probed_library": "raise OSError('libcudart.so.12: cannot open shared object file')",
    "probed_dependency": "import probed_nowhere",
    "probed_last": "",
    "torch": "class version: cuda = '12.8'",
    "torchvision": (
        "class extension:\n    def _assert_has_ops(): raise RuntimeError('Couldn\\'t load custom C++ ops.')\n"
    ),
    "probed_slow": "import time; time.sleep(60)",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The modules above, on the PYTHONPATH of child processes."""
    for name, body in MODULES.items():
        (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("modules")
def test_each_module_has_its_own_outcome_despite_crashes() -> None:
    """A library that crashes must not hide the outcome of the others."""
    probed = [name for name in MODULES if name not in ("probed_slow", "probed_system_exit")]
    assert asyncio.run(probe([*probed, "probed_nowhere"])) == {
        "probed_good": GOOD,
        "probed_noisy": GOOD,
        "probed_segfault": Outcome(Failure(CRASHED, "139")),
        "probed_exit": Outcome(Failure(CRASHED, "0")),
        "probed_library": Outcome(Failure("OSError", "libcudart.so.12: cannot open shared object file")),
        "probed_dependency": Outcome(
            Failure("ModuleNotFoundError", "No module named 'probed_nowhere'", "probed_nowhere")
        ),
        "probed_last": GOOD,
        "torch": Outcome(None, "12.8"),
        "torchvision": Outcome(Failure("RuntimeError", "Couldn't load custom C++ ops.")),
        "probed_nowhere": Outcome(
            Failure("ModuleNotFoundError", "No module named 'probed_nowhere'", "probed_nowhere")
        ),
    }


@pytest.mark.usefixtures("modules")
def test_a_module_that_hangs_times_out() -> None:
    """So do the modules after it."""
    began = time.monotonic()
    outcomes = asyncio.run(probe(["probed_good", "probed_slow", "probed_last"], timeout_s=1))
    assert time.monotonic() - began < 3
    slow = Outcome(Failure(TIMED_OUT))
    assert outcomes == {"probed_good": GOOD, "probed_slow": slow, "probed_last": slow}


@pytest.mark.usefixtures("modules")
def test_an_import_that_raises_system_exit_has_failed() -> None:
    """SystemExit is not an Exception, and must not end the child."""
    (outcome,) = asyncio.run(probe(["probed_system_exit"])).values()
    assert outcome == Outcome(Failure("SystemExit", "3"))


def test_an_empty_probe_starts_no_process() -> None:
    """A new environment has none of the modules."""
    assert asyncio.run(probe([])) == {}
