"""Diagnoses of broken packages: one sentence that names the fix."""

import pytest

from supervisor.environment.diagnostics import (
    CRASHED,
    TIMED_OUT,
    Failure,
    diagnose_cpu_build,
    diagnose_import,
    diagnose_version,
    has_nvidia_gpu,
)
from supervisor.environment.requirements import Package

TORCH = Package("torch", "torch", ("native",), shown=True)
TIMM = Package("timm", "timm", ("transformers",), shown=True)
TRANSFORMERS = Package("transformers", "transformers>=4.39.1", ("transformers",), shown=True)
VERSIONS = {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}
MISMATCH = (
    "torchvision 0.28.0 does not match torch 2.13.0+cpu: its compiled operators are missing; reinstall both."
)
REDIST = (
    "install the Microsoft Visual C++ Redistributable from https://aka.ms/vs/17/release/vc_redist.x64.exe, "
    "then restart the service."
)
DLL = (
    "[WinError 126] Das angegebene Modul wurde nicht gefunden. "
    'Error loading "C:\\Users\\x\\torch\\lib\\shm.dll" or one of its dependencies.'
)
INIT = '[WinError 1114] A routine failed. Error loading "D:\\torch\\lib\\c10.dll" or one of its dependencies.'


@pytest.mark.parametrize(
    ("package", "failure", "sentence", "fix"),
    [
        (
            TIMM,
            Failure("RuntimeError", "operator torchvision::nms does not exist"),
            MISMATCH,
            "torchvision",
        ),
        (TORCH, Failure("RuntimeError", "Couldn't load custom C++ ops. This can"), MISMATCH, "torchvision"),
        (
            TORCH,
            Failure("OSError", DLL),
            f"torch cannot load its libraries (WinError 126, shm.dll): {REDIST}",
            "torch",
        ),
        (
            TORCH,
            Failure("OSError", INIT),
            f"torch cannot load its libraries (WinError 1114, c10.dll): {REDIST}",
            "torch",
        ),
        (
            TORCH,
            Failure("ImportError", "DLL load failed while importing _C: Not found."),
            f"torch cannot load its libraries (DLL load failed): {REDIST}",
            "torch",
        ),
        (
            TORCH,
            Failure("ModuleNotFoundError", "No module named 'sympy.core'", "sympy.core"),
            "torch needs the module sympy, which is missing; reinstall torch.",
            "torch",
        ),
        (
            TORCH,
            Failure("ModuleNotFoundError", "No module named 'torch._C'", "torch._C"),
            "torch cannot be imported (ModuleNotFoundError: No module named 'torch._C'); reinstall it.",
            "torch",
        ),
        (
            TORCH,
            Failure("ImportError", "libcudnn.so.9:\n  cannot open."),
            "torch cannot be imported (ImportError: libcudnn.so.9: cannot open); reinstall it.",
            "torch",
        ),
        (
            TORCH,
            Failure("KeyboardInterrupt"),
            "torch cannot be imported (KeyboardInterrupt); reinstall it.",
            "torch",
        ),
        (
            TORCH,
            Failure(CRASHED, "132"),
            "torch crashes the interpreter on import (SIGILL); reinstall it.",
            "torch",
        ),
        (
            TORCH,
            Failure(CRASHED, "3221225477"),
            "torch crashes the interpreter on import (exit code 3221225477); reinstall it.",
            "torch",
        ),
        (
            TORCH,
            Failure(TIMED_OUT),
            "The import of torch timed out; refresh the status when the machine is less busy.",
            None,
        ),
    ],
)
def test_a_failed_import_names_its_fix(
    package: Package, failure: Failure, sentence: str, fix: str | None
) -> None:
    """Users need not know what an operator or a DLL is."""
    problem = diagnose_import(package, failure, VERSIONS.__getitem__)
    assert (problem.sentence, problem.fix, problem.fatal) == (sentence, fix, True)


def test_a_long_message_is_truncated() -> None:
    """Some libraries write a page of advice into their error."""
    problem = diagnose_import(TORCH, Failure("ImportError", "advice " * 1000), VERSIONS.__getitem__)
    assert len(problem.sentence) < 300


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("4.39.1", None),
        ("5.0.0.dev0", None),
        ("4.100", None),
        ("4.39", "transformers 4.39 is not supported, >=4.39.1 is required; update it."),
        ("4.9.2", "transformers 4.9.2 is not supported, >=4.39.1 is required; update it."),
        (None, "transformers is only partially installed; reinstall it."),
    ],
)
def test_the_version_must_exist_and_be_supported(version: str | None, sentence: str | None) -> None:
    """An old transformers can be imported, and fails when the model's code uses it."""
    problem = diagnose_version(TRANSFORMERS, version)
    assert (problem.sentence if problem else None) == sentence


def test_a_cpu_build_of_torch_on_a_gpu_machine_is_a_warning() -> None:
    """Users wonder why their GPU is idle; the service works all the same."""
    problem = diagnose_cpu_build("2.13.0+cpu", None, gpu=True)
    assert problem is not None
    assert not problem.fatal
    assert problem.fix is None
    assert problem.sentence == (
        "torch 2.13.0+cpu is a CPU-only build, so this machine's NVIDIA GPU is unused: "
        "install a CUDA build, see https://pytorch.org/get-started/locally."
    )
    assert diagnose_cpu_build("2.13.0+cpu", None, gpu=False) is None
    assert diagnose_cpu_build("2.13.0", "12.8", gpu=True) is None


NVCUDA = r"D:\Win\System32\nvcuda.dll"


@pytest.mark.parametrize(
    ("platform", "files", "programs", "found"),
    [
        ("linux", {"/proc/driver/nvidia/gpus"}, set(), True),
        ("linux", set(), {"nvidia-smi"}, True),
        ("linux", {NVCUDA}, {"rocm-smi"}, False),
        ("win32", {NVCUDA}, set(), True),
        ("win32", set(), {"nvidia-smi"}, True),
        ("win32", set(), set(), False),
        ("darwin", set(), {"nvidia-smi"}, False),
    ],
)
def test_an_nvidia_gpu_is_detected_by_its_driver(
    platform: str,
    files: set[str],
    programs: set[str],
    found: bool,  # noqa: FBT001
) -> None:
    """Without torch, which the supervisor must not import."""
    which = {name: f"/usr/bin/{name}" for name in programs}.get
    assert has_nvidia_gpu(platform, {"SYSTEMROOT": r"D:\Win"}, files.__contains__, which) is found
