"""What scripts/bootstrap.py takes for installed, and what for broken, without installing anything."""

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
    """A project with a .venv that holds all that LIST names."""
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
    fingerprint.save(bootstrap._stamp_file(), {LIST: bootstrap._stamp(LIST)})
    return tmp_path


@pytest.fixture
def no_subprocess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a subprocess was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.mark.usefixtures("no_subprocess")
def test_a_second_run_starts_nothing(project: Path) -> None:
    """Every command goes through here: a pip run each time would cost seconds."""
    before = sorted(project.rglob("*"))
    assert bootstrap.ensure(LIST) == bootstrap._python()
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("file", [LIST, "more.txt", "constraints.txt", ".venv/pyvenv.cfg"])
def test_a_changed_list_is_installed_again(project: Path, file: str) -> None:
    """After an update of the project the old packages would stay; so too with another Python."""
    assert bootstrap._pending([LIST]) == []
    path = project / file
    path.write_text(path.read_text() + "version = 3.12.1\n")
    assert bootstrap._pending([LIST]) == [LIST]


def test_a_change_elsewhere_installs_nothing(project: Path) -> None:
    """Working on the code must not send people waiting for pip."""
    (project / "app" / "main.py").write_text("print()\n")
    assert bootstrap._pending([LIST]) == []


def test_an_unknown_list_is_pending_beside_a_known_one(project: Path) -> None:
    """Each list is remembered by itself: adding one does not install the others again."""
    (project / "tests.txt").write_text("pytest\n")
    assert bootstrap._pending([LIST, "tests.txt"]) == ["tests.txt"]


def test_lists_that_include_each_other_are_read_once() -> None:
    """The project's own lists include others by paths relative to themselves."""
    assert fingerprint.with_includes(ROOT, bootstrap.TESTS) == [
        bootstrap.TESTS,
        bootstrap.SUPERVISOR,
        bootstrap.BUILTIN_MODEL,
        "worker/requirements-birefnet.txt",
        bootstrap.DOWNLOAD,
    ]


def test_torn_memory_of_what_is_installed_is_no_error(project: Path) -> None:
    """A full disk can leave an empty file; the next run then installs again."""
    bootstrap._stamp_file().write_text('{"app/requ')
    assert bootstrap._pending([LIST]) == [LIST]
    assert (project / LIST).exists()


def test_a_venv_without_its_python_is_pending(project: Path) -> None:
    """Killed in mid-creation, or its Python was uninstalled: the stamps alone prove nothing."""
    bootstrap._python().unlink()
    assert bootstrap._pending([LIST]) == [LIST]
    assert not bootstrap._works()
    assert (project / LIST).exists()


def test_a_venv_is_pending_whose_python_was_uninstalled_on_windows(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it keeps a python.exe of its own, which fails every later command: "No Python at …"."""
    monkeypatch.setattr(sys, "platform", "win32")
    launcher, installed = bootstrap._python(), project / "Python 3.11" / "python.exe"
    for file in (launcher, installed):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (project / ".venv" / "pyvenv.cfg").write_text(f"home = {installed.parent}\nversion = 3.11.4\n")
    fingerprint.save(bootstrap._stamp_file(), {LIST: bootstrap._stamp(LIST)})
    assert bootstrap._pending([LIST]) == []
    installed.unlink()
    assert bootstrap._pending([LIST]) == [LIST]


def test_a_venv_that_was_not_finished_is_pending(project: Path) -> None:
    """Its Python may run and even import half of pip."""
    bootstrap._unfinished().touch()
    assert bootstrap._pending([LIST]) == [LIST]
    assert not bootstrap._works()
    assert (project / LIST).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a script cannot stand in for python.exe")
@pytest.mark.parametrize("python", ["", "#!/bin/sh\nexit 1\n", "#!/nowhere/python3\n"])
def test_a_python_that_does_not_run_is_noticed(project: Path, python: str) -> None:
    """Matted short, without pip, or pointing to what is gone: each would fail every later command."""
    bootstrap._python().write_text(python)
    bootstrap._python().chmod(0o755)
    assert not bootstrap._works()
    assert (project / LIST).exists()


def test_packages_that_pip_was_killed_in_are_forgotten(project: Path) -> None:
    """Pip takes a package for installed as soon as its METADATA is there, with files still missing."""
    for layout in ("lib/python3.11/site-packages", "Lib/site-packages"):
        for name, files in {"whole": ["METADATA", "INSTALLER"], "torn": ["METADATA"]}.items():
            package = project / ".venv" / layout / f"{name}-1.0.dist-info"
            package.mkdir(parents=True, exist_ok=True)
            for file in files:
                (package / file).touch()
    bootstrap._drop_torn_packages()
    assert {path.name for path in project.rglob("*.dist-info")} == {"whole-1.0.dist-info"}


@pytest.mark.usefixtures("no_subprocess")
@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_debians_python_without_venv_says_what_to_install(
    project: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Its own message comes after a traceback, and leaves half a .venv."""
    bootstrap._python().unlink()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else object())
    with pytest.raises(SystemExit, match="apt-get install python3-venv"):
        bootstrap.ensure(LIST)
    assert (project / LIST).exists()


def test_a_run_without_installs_takes_the_running_python(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers and these tests bring their own packages."""
    monkeypatch.setenv("BGREMOVE_NO_BOOTSTRAP", "1")
    bootstrap._stamp_file().unlink()
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
def test_an_old_python_can_read_the_scripts(name: str) -> None:
    """It has to get as far as saying that it is too old: a SyntaxError tells people nothing."""
    source = (ROOT / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert futures, "without it, annotations such as list[str] | None are evaluated"


def test_stamps_are_plain_json(project: Path) -> None:
    """People look into .venv to see what it holds."""
    assert list(json.loads(bootstrap._stamp_file().read_text())) == [LIST]
    assert not (project / ".venv" / "bgremove-installed.part").exists()
