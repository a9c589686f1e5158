"""Photos lie in the system's temporary folder, which on Linux all users share."""

import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from shared.errors import StorageFailed
from supervisor.platform.private_dir import is_owned_or_free, make_private_dir
from supervisor.server import _check_writable
from supervisor.settings import BadSettings, load_settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there each user has a temporary folder")


@pytest.fixture(autouse=True)
def system_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that everybody may write into."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))


def taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have another user's folder there: for the test, everything that exists belongs to somebody else."""
    folder.mkdir()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)


def test_nobody_else_may_look_at_the_photos(tmp_path: Path) -> None:
    """Whatever the user's umask is."""
    before = os.umask(0)
    try:
        folder = make_private_dir(tmp_path / "hub" / "run" / "task")
    finally:
        os.umask(before)
    for made in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert make_private_dir(folder) == folder


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """As any other want of storage."""
    (tmp_path / "hub").write_text("a file")
    with pytest.raises(StorageFailed):
        make_private_dir(tmp_path / "hub" / "run")


def test_a_second_user_has_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one's cannot be written, and must not be trusted."""
    assert load_settings([]).temp_dir == tmp_path / "psi_ai_content_hub"
    taken(tmp_path / "psi_ai_content_hub", monkeypatch)
    own = load_settings([]).temp_dir
    assert own == tmp_path / f"psi_ai_content_hub-{os.getuid()}"
    own.mkdir()
    with pytest.raises(BadSettings, match="BGREMOVE_TEMP_DIR"):
        load_settings([])


def test_a_link_is_not_trusted(tmp_path: Path) -> None:
    """It may lead to a folder of this user's that is meant for something else."""
    (tmp_path / "link").symlink_to(tmp_path)
    assert not is_owned_or_free(tmp_path / "link")
    assert is_owned_or_free(tmp_path)


def test_a_folder_that_somebody_else_makes_meanwhile_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who owns it can put links in the place of photos, and the worker would write to where they lead."""
    taken(tmp_path / "other", monkeypatch)
    with pytest.raises(StorageFailed, match="somebody else"):
        make_private_dir(tmp_path / "hub")


def test_a_start_looks_again_whose_the_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the choice and the first use, everybody may make it; one that the user chose is trusted."""
    settings = load_settings([])
    taken(settings.temp_dir, monkeypatch)
    with pytest.raises(BadSettings, match="somebody else"):
        _check_writable(settings)
    _check_writable(load_settings(["--temp-dir", str(settings.temp_dir)]))
