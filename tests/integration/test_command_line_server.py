"""The server that the command line starts, here a fake one: settings, shutdown, installs."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.commands import (
    ENVIRONMENT,
    ROOT,
    TIMEOUT_S,
    bgremove,
    command,
    sibling_files,
)
from tests.integration.fake_service import (
    RUNNING,
)

FAKE_SUPERVISOR = """
import json, os, subprocess, sys, time
from pathlib import Path

sys.path.append({root!r})
from tests.integration.fake_service import QUEUED, Script, RUNNING, fake_service, state

mode = os.environ.get("FAKE_MODE", "")
settings = {{name: value for name, value in os.environ.items() if name.startswith("BGREMOVE_")}}
Path("seen.json").write_text(json.dumps({{"argv": sys.argv[1:], "settings": settings, "pid": os.getpid()}}))
if mode == "die":
    sys.exit("cannot listen on the port")
failed = state("error", 40, "The packages could not be installed: no compiler here.", "install_failed")
failed["logs"] = ["Collecting torch", "ERROR: no compiler here"]
scripts = {{
    "busy": Script(states=[RUNNING], hold_stream=True),
    "hanging": Script(states=[RUNNING], hold_stream=True),
    "nothing to do": Script(nothing_to_do=True, problem="torch is built for CPUs only."),
    "still broken": Script(broken=True, problem="torch cannot be imported."),
    "failed install": Script(states=[QUEUED, RUNNING, failed]),
}}
script = scripts.get(mode, Script())
with fake_service(script) as address:
    host, port = address.removeprefix("http://").split(":")
    ready = {{"event": "ready", "host": host, "port": int(port), "pid": os.getpid(), "version": "0"}}
    print(json.dumps(ready), flush=True)
    sys.stdin.buffer.read()
    Path("tokens.json").write_text(json.dumps(list(script.tokens)))
    if mode == "hanging":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path("child").write_text(str(child.pid))
        time.sleep(600)
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.jpg"
    path.write_bytes(b"\xff\xd8 not decoded by the command line")
    return path


@pytest.fixture
def own_project(tmp_path: Path) -> Path:
    """A copy of the project's scripts with a fake supervisor."""
    project = tmp_path / "project"
    for folder in ("scripts", "shared"):
        shutil.copytree(ROOT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "supervisor").mkdir()
    (project / "supervisor" / "__main__.py").write_text(FAKE_SUPERVISOR.format(root=str(ROOT)))
    return project


def test_the_started_server_ignores_settings_of_a_shared_server(own_project: Path, photo: Path) -> None:
    """Its token, port or host name would deny access to the command."""
    settings = {
        "BGREMOVE_HOST": "0.0.0.0",  # noqa: S104 - must not be inherited
        "BGREMOVE_ALLOWED_HOSTS": "photos.example",
        "BGREMOVE_PORT": "6905",
        "BGREMOVE_TOKEN": "secret",
        "BGREMOVE_CACHE": "/kept",
    }
    done = bgremove("remove", photo, "--json", project=own_project, settings=settings)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["model_id"] == "builtin"
    seen = _seen(own_project)
    assert seen["argv"] == ["--port", "0", "--exit-on-stdin-eof"]
    kept = {"BGREMOVE_NO_BOOTSTRAP": "1", "BGREMOVE_CACHE": "/kept"}
    assert seen["settings"].pop("BGREMOVE_TOKEN") != "secret"
    own = {"BGREMOVE_PRELOAD": "1", "BGREMOVE_DURABLE": "false", "BGREMOVE_AUTO_DOWNLOAD": "true"}
    assert seen["settings"] == kept | own


def test_the_started_server_requires_a_random_token(own_project: Path, photo: Path) -> None:
    """Any local user can connect to its port and could otherwise list tasks and fetch images."""
    tokens = []
    for _ in range(2):
        assert bgremove("remove", photo, "--overwrite", project=own_project).returncode == 0
        seen = _seen(own_project)
        tokens.append(seen["settings"]["BGREMOVE_TOKEN"])
        assert json.loads((own_project / "tokens.json").read_text()) == [f"Bearer {tokens[-1]}"]
        assert tokens[-1] not in " ".join(seen["argv"])
    assert len(tokens[0]) > 30
    assert tokens[0] != tokens[1]
    assert _gone(seen["pid"])


def test_relative_folders_in_settings_are_made_absolute(own_project: Path, photo: Path) -> None:
    """The server has another working folder."""
    given = {"DATA_DIR": "models", "TEMP_DIR": "~/temp", "MODEL": "./tuned"}
    settings = {f"BGREMOVE_{name}": value for name, value in given.items()}
    here = photo.parent
    assert bgremove("remove", photo, project=own_project, settings=settings, cwd=here).returncode == 0
    seen = _seen(own_project)["settings"]
    assert [seen[name] for name in settings] == [str(here / "models"), "~/temp", str(here / "tuned")]


def test_a_server_that_cannot_start_shows_its_log(own_project: Path, photo: Path) -> None:
    """The message must hold the cause."""
    done = bgremove("remove", photo, project=own_project, settings={"FAKE_MODE": "die"})
    assert done.returncode == 1
    assert "the server ended before it was ready" in done.stderr
    assert done.stderr.endswith("  cannot listen on the port\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
@pytest.mark.parametrize("mode", ["busy", "hanging"])
def test_ctrl_c_leaves_no_process_and_no_file(own_project: Path, photo: Path, mode: str) -> None:
    """A leaked server would hold gigabytes, also one that ignores the end of its standard input."""
    _interrupt(command("remove", photo, project=own_project), mode)
    assert _gone(_seen(own_project)["pid"])
    assert sibling_files(photo) == ["project"]
    if mode == "hanging":
        assert _gone(int((own_project / "child").read_text()))


def _interrupt(words: list[str], mode: str) -> None:
    """Send SIGINT while a task is running, and check the exit code and the message."""
    environment = {**ENVIRONMENT, "FAKE_MODE": mode}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while RUNNING["message"] not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "bgremove: stopped\n"
        assert process.wait(TIMEOUT_S) == 130


def _seen(project: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads((project / "seen.json").read_text())
    return seen


def _gone(pid: int) -> bool:
    try:
        # A killed orphan stays a zombie if no init process reaps it, as in some containers.
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


INSTALLS = {
    "": (
        0,
        ["bgremove: Removing the background", "bgremove: Done", "bgremove: installed the missing packages"],
    ),
    "nothing to do": (
        0,
        [
            "bgremove: Checking installed packages",
            "bgremove: nothing to install: every package is there",
            "bgremove: torch is built for CPUs only.",
        ],
    ),
    "still broken": (
        1,
        ["bgremove: Done", "bgremove: installed the missing packages", "bgremove: torch cannot be imported."],
    ),
    "failed install": (
        1,
        [
            "bgremove:   Collecting torch",
            "bgremove:   ERROR: no compiler here",
            "bgremove: The packages could not be installed: no compiler here.",
        ],
    ),
}


@pytest.mark.parametrize("mode", INSTALLS)
def test_an_install_reports_its_outcome_and_shows_pips_output_if_it_failed(
    own_project: Path, mode: str
) -> None:
    """pip's output is needed to fix a failure, not after a success."""
    code, last_lines = INSTALLS[mode]
    done = bgremove("install", project=own_project, settings={"FAKE_MODE": mode})
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.splitlines()[-3:] == last_lines
    assert _gone(_seen(own_project)["pid"])


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_ends_an_install(own_project: Path) -> None:
    """The server ends with the command, and pip with the server."""
    _interrupt(command("install", project=own_project), "busy")
    assert _gone(_seen(own_project)["pid"])


def test_the_servers_log_is_quoted_as_utf_8(photo: Path, tmp_path: Path) -> None:
    """Paths contain user names; on Windows Python would write to pipes in another encoding."""
    file = tmp_path / "Jürgen"
    file.touch()
    settings = {"BGREMOVE_TEMP_DIR": str(file), "PYTHONIOENCODING": "cp1252"}
    run = bgremove("remove", photo, "--json", settings=settings)
    assert run.returncode == 1
    assert str(file) in json.loads(run.stdout)["error"]["detail"]
