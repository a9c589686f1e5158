"""Private folders in the system's temporary folder, which all users of a Linux machine share."""

import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from shared.errors import StorageFailed
from supervisor.jobs.run_directory import RunDirectory
from supervisor.platform.private_dir import is_owned_or_free, make_private_dir
from supervisor.server import _check_writable
from supervisor.settings import BadSettings, load_settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there each user has a temporary folder")


@pytest.fixture(autouse=True)
def system_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder for this test."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))


def owned_by_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create a folder, and pretend that all existing files belong to another user."""
    folder.mkdir()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)


def test_other_users_cannot_enter_the_folders(tmp_path: Path) -> None:
    """With any umask."""
    before = os.umask(0)
    try:
        folder = make_private_dir(tmp_path / "hub" / "run" / "task")
    finally:
        os.umask(before)
    for made in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert make_private_dir(folder) == folder


def test_a_folder_that_cannot_be_created_is_a_storage_failure(tmp_path: Path) -> None:
    """Clients get status 507, as for a full disk."""
    (tmp_path / "hub").write_text("a file")
    with pytest.raises(StorageFailed):
        make_private_dir(tmp_path / "hub" / "run")


def test_the_default_for_a_second_user_has_their_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first user's folder is not writable for them, and must not be trusted."""
    assert load_settings([]).temp_dir == tmp_path / "psi_ai_content_hub"
    owned_by_another_user(tmp_path / "psi_ai_content_hub", monkeypatch)
    own = load_settings([]).temp_dir
    assert own == tmp_path / f"psi_ai_content_hub-{os.getuid()}"
    own.mkdir()
    with pytest.raises(BadSettings, match="BGREMOVE_TEMP_DIR"):
        load_settings([])


def test_a_link_is_not_trusted(tmp_path: Path) -> None:
    """It may point to an unrelated folder of this user."""
    (tmp_path / "link").symlink_to(tmp_path)
    assert not is_owned_or_free(tmp_path / "link")
    assert is_owned_or_free(tmp_path)


def test_a_folder_created_by_another_user_in_between_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could replace images by symbolic links, which the worker would follow."""
    owned_by_another_user(tmp_path / "other", monkeypatch)
    with pytest.raises(StorageFailed, match="another user"):
        make_private_dir(tmp_path / "hub")


def test_the_owner_is_checked_again_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users may create it between the settings and its first use; a configured folder is trusted."""
    settings = load_settings([])
    owned_by_another_user(settings.temp_dir, monkeypatch)
    with pytest.raises(BadSettings, match="temporary folder"):
        _check_writable(settings)
    _check_writable(load_settings(["--temp-dir", str(settings.temp_dir)]))


def test_an_existing_folder_of_another_user_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was trusted: who made the run directory first could read every photo."""
    owned_by_another_user(tmp_path / "hub", monkeypatch)
    with pytest.raises(StorageFailed, match="another user"):
        make_private_dir(tmp_path / "hub")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StorageFailed, match="another user"):
        make_private_dir(tmp_path / "link")


def test_no_other_process_can_predict_the_run_directory(tmp_path: Path) -> None:
    """Its process id and start time can be read by all users."""
    names = {RunDirectory(tmp_path).path.name for _ in range(3)}
    assert len(names) == 3
    assert all(len(name.split("-")[-1]) == 16 for name in names)
