"""The shape that everything else relies on: who imports whom, and how light the supervisor is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "torch",
    "torchvision",
    "numpy",
    "PIL",
    "onnxruntime",
    "transformers",
    "isal",
    "huggingface_hub",
    "ray",
}
BLOCKING = {"time.sleep", "subprocess.run", "shutil.copyfileobj", "shutil.rmtree", "open", "input"}
BLOCKING_METHODS = {"read_bytes", "write_bytes", "read_text", "write_text", "unlink", "rename"}


def modules(package: str) -> list[Path]:
    """Return the package's source files."""
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("supervisor", {"worker", "scripts", "tests"} | HEAVY),
        ("worker", {"supervisor", "scripts", "tests", "fastapi", "pydantic", "uvicorn"}),
        ("shared", {"supervisor", "worker", "scripts", "tests", "pydantic"} | HEAVY),
    ],
)
def test_imports_go_one_way(package: str, forbidden: set[str]) -> None:
    """A supervisor that imported a worker's library would hold its memory and die of its crashes."""
    files = modules(package)
    assert files
    for path in files:
        assert not forbidden & set(imported(path)), path


def test_shared_needs_the_standard_library_alone() -> None:
    """Both processes import it, whatever is installed."""
    for path in modules("shared"):
        assert set(imported(path)) <= set(sys.stdlib_module_names) | {"shared"}, path


def test_a_running_supervisor_has_no_heavy_library_loaded() -> None:
    """What its libraries import in turn counts as well."""
    code = (
        "import sys, supervisor.server, supervisor.app; from supervisor.settings import load_settings;"
        "supervisor.app.create_app(load_settings([]));"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_nothing_happens_when_a_module_is_imported() -> None:
    """Spawned children import modules again: work at import would run again in each of them."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    allowed = ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | definitions
    for path in modules("supervisor") + modules("worker") + modules("shared"):
        for node in ast.parse(path.read_text()).body:
            guard = isinstance(node, ast.If) and ast.unparse(node.test) in {
                "__name__ == '__main__'",
                "TYPE_CHECKING",
            }
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert isinstance(node, allowed) or guard or docstring, f"{path}:{node.lineno}"


def test_no_coroutine_of_the_supervisor_blocks() -> None:
    """One blocking call in an `async def` stalls health, streams and every other client."""
    for path in modules("supervisor"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef):
                for call in calls_made_by(function):
                    name = ast.unparse(call.func)
                    assert name not in BLOCKING, f"{path}:{call.lineno} {name}"
                    assert name.rpartition(".")[2] not in BLOCKING_METHODS, f"{path}:{call.lineno} {name}"


def calls_made_by(function: ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    """Yield the calls in a coroutine's own body, not those in functions defined inside it."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        pending += ast.iter_child_nodes(node)


def test_the_detector_of_blocking_calls_detects() -> None:
    """The test above must be able to fail."""
    tree = ast.parse("async def f():\n    time.sleep(1)\n    def g(): open('x')")
    (function,) = tree.body
    assert isinstance(function, ast.AsyncFunctionDef)
    assert [ast.unparse(call.func) for call in calls_made_by(function)] == ["time.sleep"]


# The folders of the supervisor, each with those that it may import: no cycle, and nothing imports the API.
FOLDERS = {
    "api": {
        "compat",
        "jobs",
        "models",
        "tasks",
        "workers",
        "environment",
        "net",
        "observability",
        "web",
        "platform",
    },
    "jobs": {"models", "tasks", "workers", "net", "observability", "platform"},
    "models": {"tasks", "workers", "environment", "platform"},
    "environment": {"tasks", "workers", "platform"},
    "observability": {"workers"},
    "tasks": set[str](),
    "workers": {"platform"},
    "net": set[str](),
    "platform": set[str](),
    "web": set[str](),
}
ROOT_MODULES = {"settings", "setting_types"}  # which any folder may import


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_import_one_way(folder: str) -> None:
    """A cycle between two folders makes one unit of them, in two places."""
    for path in modules(f"supervisor/{folder}"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (
                isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("supervisor.")
            ):
                continue
            other = node.module.split(".")[1]
            composition = folder == "api" and other == "container"  # its dependencies come from there
            assert other in FOLDERS[folder] | {folder} | ROOT_MODULES or composition, (
                f"{path} imports {node.module}"
            )


def test_the_table_of_folders_is_complete_and_has_no_cycle() -> None:
    """Else a new folder could import whatever it likes."""
    folders = {path.parent.name for path in (ROOT / "supervisor").glob("*/__init__.py")}
    assert folders == set(FOLDERS)

    def reach(folder: str, seen: frozenset[str]) -> None:
        assert folder not in seen, f"a cycle through {folder}"
        for other in FOLDERS.get(folder, ()):
            reach(other, seen | {folder})

    for folder in FOLDERS:
        reach(folder, frozenset())


def test_no_two_modules_have_one_name() -> None:
    """Who opens a file by its name must get the one that was meant."""
    files = [path for package in ("supervisor", "worker", "shared", "scripts") for path in modules(package)]
    names = [path.stem for path in files if not path.stem.startswith("__")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("word", ["pid", "sentinel", "multiprocessing", "WorkerProcess", "WorkerHandle"])
def test_only_the_workers_folder_knows_processes(word: str) -> None:
    """A worker on another machine has none of these; code that needs them could not be given one."""
    for folder in set(FOLDERS) - {"workers", "platform", "environment"}:
        for path in modules(f"supervisor/{folder}"):
            nodes = list(ast.walk(ast.parse(path.read_text())))
            names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            names |= {name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names}
            assert word not in names | set(imported(path)), path
