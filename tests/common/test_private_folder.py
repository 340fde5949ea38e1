import os
import stat
from pathlib import Path

import pytest

from services.common.private_folder import UnsafeFolder, make_private, open_private
from tests.another_user import NOBODY, as_another_user, needs_root, open_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_for_this_user(tmp_path: Path) -> None:
    make_private(tmp_path / "above" / "folder", "A_SETTING")
    assert mode(tmp_path / "above" / "folder") == 0o700


def test_access_of_others_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o777)
    make_private(folder, "A_SETTING")
    assert mode(folder) == 0o700


def test_an_own_link_to_an_own_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    make_private(tmp_path / "link", "A_SETTING")
    assert mode(tmp_path / "disk") == 0o700


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_private(tmp_path / "file", "A_SETTING")


def test_a_file_is_made_for_this_user(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open(tmp_path / "file", "xb", opener=open_private).close()
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o600


@needs_root
def test_a_folder_of_another_user_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(UnsafeFolder, match=f"{folder} belongs to the user with id {NOBODY}.*set A_SETTING"):
        make_private(folder, "A_SETTING")


@needs_root
def test_a_link_that_another_user_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    os.chown(tmp_path / "link", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(UnsafeFolder, match="link belongs to"):
        make_private(tmp_path / "link", "A_SETTING")
    assert mode(tmp_path / "mine") != 0o700, "the target is left as it was"


@needs_root
def test_a_folder_of_root_that_everybody_may_write_to_is_refused() -> None:
    with open_folder() as folder:
        script = f"""
try:
    make_private(Path({str(folder)!r}), "A_SETTING")
except UnsafeFolder as error:
    print(error)
"""
        imports = "from pathlib import Path; from services.common.private_folder import UnsafeFolder, make_private"
        assert "may be written to by every user" in as_another_user(imports, script)
