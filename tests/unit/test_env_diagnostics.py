"""What is wrong is said in one sentence that names the remedy."""

import pytest

from supervisor.environment.diagnostics import (
    DIED,
    TOO_SLOW,
    Failure,
    cpu_build_problem,
    import_problem,
    metadata_problem,
    sees_nvidia_gpu,
)
from supervisor.environment.requirements import Package

TORCH = Package("torch", "torch", ("native",), shown=True)
TIMM = Package("timm", "timm", ("transformers",), shown=True)
TRANSFORMERS = Package("transformers", "transformers>=4.39.1", ("transformers",), shown=True)
VERSIONS = {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}
MISMATCH = (
    "torchvision 0.28.0 does not match torch 2.13.0+cpu: its compiled operators are missing; "
    "install the pair again."
)
REDIST = (
    "install the Microsoft Visual C++ Redistributable from https://aka.ms/vs/17/release/vc_redist.x64.exe, "
    "then start the service again."
)
DLL = (
    "[WinError 126] Das angegebene Modul wurde nicht gefunden. "
    'Error loading "C:\\Users\\x\\torch\\lib\\shm.dll" or one of its dependencies.'
)
INIT = '[WinError 1114] A routine failed. Error loading "D:\\torch\\lib\\c10.dll" or one of its dependencies.'


@pytest.mark.parametrize(
    ("package", "failure", "sentence", "mend"),
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
            "torch needs the module sympy, which is missing; install torch again.",
            "torch",
        ),
        (
            TORCH,
            Failure("ModuleNotFoundError", "No module named 'torch._C'", "torch._C"),
            "torch cannot be imported (ModuleNotFoundError: No module named 'torch._C'); install it again.",
            "torch",
        ),
        (
            TORCH,
            Failure("ImportError", "libcudnn.so.9:\n  cannot open."),
            "torch cannot be imported (ImportError: libcudnn.so.9: cannot open); install it again.",
            "torch",
        ),
        (
            TORCH,
            Failure("KeyboardInterrupt"),
            "torch cannot be imported (KeyboardInterrupt); install it again.",
            "torch",
        ),
        (
            TORCH,
            Failure(DIED, "132"),
            "torch ends Python when it is imported (SIGILL); install it again.",
            "torch",
        ),
        (
            TORCH,
            Failure(DIED, "3221225477"),
            "torch ends Python when it is imported (exit code 3221225477); install it again.",
            "torch",
        ),
        (
            TORCH,
            Failure(TOO_SLOW),
            "torch took too long to import; look again when the machine is less busy.",
            None,
        ),
    ],
)
def test_a_failed_import_names_its_remedy(
    package: Package, failure: Failure, sentence: str, mend: str | None
) -> None:
    """The person who reads it has never heard of an operator or a DLL."""
    problem = import_problem(package, failure, VERSIONS.__getitem__)
    assert (problem.sentence, problem.mend, problem.fatal) == (sentence, mend, True)


def test_an_endless_message_is_cut() -> None:
    """Some libraries put a page of advice into their error."""
    problem = import_problem(TORCH, Failure("ImportError", "advice " * 1000), VERSIONS.__getitem__)
    assert len(problem.sentence) < 300


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("4.39.1", None),
        ("5.0.0.dev0", None),
        ("4.100", None),
        ("4.39", "transformers 4.39 does not fit, it has to be >=4.39.1; update it."),
        ("4.9.2", "transformers 4.9.2 does not fit, it has to be >=4.39.1; update it."),
        (None, "transformers is only partly installed; install it again."),
    ],
)
def test_the_version_has_to_be_there_and_new_enough(version: str | None, said: str | None) -> None:
    """An old transformers imports well, and fails in the middle of the model's code."""
    problem = metadata_problem(TRANSFORMERS, version)
    assert (problem.sentence if problem else None) == said


def test_torch_for_cpus_beside_a_gpu_is_told_but_does_no_harm() -> None:
    """People buy a GPU, and wonder why it is idle."""
    problem = cpu_build_problem("2.13.0+cpu", None, gpu=True)
    assert problem is not None
    assert not problem.fatal
    assert problem.mend is None
    assert problem.sentence == (
        "torch 2.13.0+cpu is built for CPUs only, so it leaves this machine's NVIDIA GPU unused: "
        "install its CUDA build as https://pytorch.org/get-started/locally says."
    )
    assert cpu_build_problem("2.13.0+cpu", None, gpu=False) is None
    assert cpu_build_problem("2.13.0", "12.8", gpu=True) is None


NVCUDA = r"D:\Win\System32\nvcuda.dll"


@pytest.mark.parametrize(
    ("platform", "files", "programs", "seen"),
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
def test_an_nvidia_gpu_is_known_by_its_drivers_traces(
    platform: str,
    files: set[str],
    programs: set[str],
    seen: bool,  # noqa: FBT001
) -> None:
    """Asking torch would load it."""
    which = {name: f"/usr/bin/{name}" for name in programs}.get
    assert sees_nvidia_gpu(platform, {"SYSTEMROOT": r"D:\Win"}, files.__contains__, which) is seen
