"""Which lists scripts/bootstrap.py considers installed or pending, without installing anything."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap
import fingerprint

ROOT = Path(__file__).resolve().parents[2]
LIST = "app/requirements.txt"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose .venv has LIST installed."""
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.delenv("BGREMOVE_NO_BOOTSTRAP", raising=False)
    (tmp_path / "constraints.txt").write_text("fastapi==1.0\n")
    (tmp_path / "app").mkdir()
    (tmp_path / LIST).write_text("# what the app needs\nfastapi\n-r ../more.txt\n")
    (tmp_path / "more.txt").write_text("uvicorn\n-r app/requirements.txt\n")
    python = bootstrap._python()
    python.parent.mkdir(parents=True)
    python.write_bytes(b"")
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.4\n")
    fingerprint.save(bootstrap._fingerprint_file(), {LIST: bootstrap._fingerprint(LIST)})
    return tmp_path


@pytest.fixture
def no_subprocess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a subprocess was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.mark.usefixtures("no_subprocess")
def test_a_second_run_starts_nothing(project: Path) -> None:
    """Every command calls ensure(): a pip run each time would cost seconds."""
    before = sorted(project.rglob("*"))
    assert bootstrap.ensure(LIST) == bootstrap._python()
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("file", [LIST, "more.txt", "constraints.txt", ".venv/pyvenv.cfg"])
def test_a_changed_list_is_installed_again(project: Path, file: str) -> None:
    """Otherwise outdated packages would remain after an update of the project or of Python."""
    assert bootstrap._pending([LIST]) == []
    path = project / file
    path.write_text(path.read_text() + "version = 3.12.1\n")
    assert bootstrap._pending([LIST]) == [LIST]


def test_a_change_elsewhere_installs_nothing(project: Path) -> None:
    """Edits of the code must not cause an install."""
    (project / "app" / "main.py").write_text("print()\n")
    assert bootstrap._pending([LIST]) == []


def test_a_new_list_is_pending_and_an_installed_one_is_not(project: Path) -> None:
    """Each list has its own fingerprint."""
    (project / "tests.txt").write_text("pytest\n")
    assert bootstrap._pending([LIST, "tests.txt"]) == ["tests.txt"]


def test_lists_that_include_each_other_are_read_once() -> None:
    """Include paths are relative to the including list."""
    assert fingerprint.resolve_includes(ROOT, bootstrap.TESTS) == [
        bootstrap.TESTS,
        bootstrap.SUPERVISOR,
        bootstrap.BUILTIN_MODEL,
        "worker/requirements-birefnet.txt",
        bootstrap.CLUSTER,
        bootstrap.DOWNLOAD,
    ]


def test_a_truncated_fingerprint_file_is_no_error(project: Path) -> None:
    """A full disk can truncate it; the next run then installs again."""
    bootstrap._fingerprint_file().write_text('{"app/requ')
    assert bootstrap._pending([LIST]) == [LIST]
    assert (project / LIST).exists()


def test_a_venv_without_its_python_is_pending(project: Path) -> None:
    """Killed during creation, or its Python was uninstalled: fingerprints alone prove nothing."""
    bootstrap._python().unlink()
    assert bootstrap._pending([LIST]) == [LIST]
    assert not bootstrap._venv_works()
    assert (project / LIST).exists()


def test_a_venv_is_pending_whose_python_was_uninstalled_on_windows(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There .venv keeps a launcher python.exe, which fails every later command: "No Python at …"."""
    monkeypatch.setattr(sys, "platform", "win32")
    launcher, installed = bootstrap._python(), project / "Python 3.11" / "python.exe"
    for file in (launcher, installed):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (project / ".venv" / "pyvenv.cfg").write_text(f"home = {installed.parent}\nversion = 3.11.4\n")
    fingerprint.save(bootstrap._fingerprint_file(), {LIST: bootstrap._fingerprint(LIST)})
    assert bootstrap._pending([LIST]) == []
    installed.unlink()
    assert bootstrap._pending([LIST]) == [LIST]


def test_a_partially_created_venv_is_pending(project: Path) -> None:
    """Its Python may run and import a part of pip."""
    bootstrap._incomplete_marker().touch()
    assert bootstrap._pending([LIST]) == [LIST]
    assert not bootstrap._venv_works()
    assert (project / LIST).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a script cannot stand in for python.exe")
@pytest.mark.parametrize("python", ["", "#!/bin/sh\nexit 1\n", "#!/nowhere/python3\n"])
def test_a_python_that_does_not_run_is_detected(project: Path, python: str) -> None:
    """Truncated, without pip, or with a missing interpreter: each would fail every later command."""
    bootstrap._python().write_text(python)
    bootstrap._python().chmod(0o755)
    assert not bootstrap._venv_works()
    assert (project / LIST).exists()


def test_partially_installed_packages_are_removed(project: Path) -> None:
    """Pip considers a package installed once its METADATA exists, though files may be missing."""
    for layout in ("lib/python3.11/site-packages", "Lib/site-packages"):
        for name, files in {"complete": ["METADATA", "INSTALLER"], "partial": ["METADATA"]}.items():
            package = project / ".venv" / layout / f"{name}-1.0.dist-info"
            package.mkdir(parents=True, exist_ok=True)
            for file in files:
                (package / file).touch()
    bootstrap._remove_partial_packages()
    assert {path.name for path in project.rglob("*.dist-info")} == {"complete-1.0.dist-info"}


@pytest.mark.usefixtures("no_subprocess")
@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_debians_python_without_venv_names_the_package_to_install(
    project: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Its own message follows a traceback, and a partial .venv remains."""
    bootstrap._python().unlink()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else object())
    with pytest.raises(SystemExit, match="apt-get install python3-venv"):
        bootstrap.ensure(LIST)
    assert (project / LIST).exists()


def test_a_run_without_bootstrap_uses_the_running_python(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers and these tests provide the packages."""
    monkeypatch.setenv("BGREMOVE_NO_BOOTSTRAP", "1")
    bootstrap._fingerprint_file().unlink()
    assert bootstrap.ensure(LIST) == Path(sys.executable)
    bootstrap.reexec(Path(sys.executable))
    assert not (project / ".venv" / "bgremove.lock").exists()


@pytest.mark.parametrize(
    "name",
    [
        *(f"scripts/{name}" for name in ("bootstrap", "fingerprint", "bgremove", "test", "check")),
        "shared/file_lock",
        "shared/pip_cleanup",
    ],
)
def test_an_old_python_can_parse_the_scripts(name: str) -> None:
    """It must reach the message that it is too old instead of raising a SyntaxError."""
    source = (ROOT / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert futures, "without it, annotations such as list[str] | None are evaluated"


def test_fingerprints_are_plain_json(project: Path) -> None:
    """They can be inspected, and no temporary file remains."""
    assert list(json.loads(bootstrap._fingerprint_file().read_text())) == [LIST]
    assert not (project / ".venv" / "bgremove-installed.part").exists()
