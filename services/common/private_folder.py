"""Folders that this user alone can read: files 0600 in folders 0700.

A folder in a shared place such as /tmp may have been made by another user, who could read what is written there, or
point it elsewhere by a symbolic link. Such a folder is refused.
"""

import os
import stat
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_UMASK: Final = 0o077
_ROOT: Final = 0


class UnsafeFolder(Exception):
    """Another user made the folder, or may write to it. The message names the folder and the remedy."""


def restrict_umask() -> None:
    """Let this process and its children create files and folders for this user only."""
    os.umask(_UMASK)


def open_private(path: str, flags: int) -> int:
    """Open a file that is created for this user only: an `opener` of `open`."""
    return os.open(path, flags, FILE_MODE)


def make_private(folder: Path, setting: str) -> None:
    """Create the folder, and the missing ones above it, for this user only; or take the access of others away.

    Parameters
    ----------
    setting
        name of the setting that holds the folder, for the message

    Raises
    ------
    UnsafeFolder
        the folder, or the symbolic link in its place, belongs to another user; or it is root's and all may write to it
    """
    for missing in [parent for parent in folder.parents if not parent.exists()][::-1]:
        missing.mkdir(FOLDER_MODE, exist_ok=True)
    try:
        folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        _check_owner(folder.lstat(), folder, setting)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _take_over(handle, folder, setting)
    finally:
        os.close(handle)


def _take_over(handle: int, folder: Path, setting: str) -> None:
    found = os.fstat(handle)
    _check_owner(found, folder, setting)
    if found.st_uid == os.geteuid():
        if found.st_mode & _UMASK:
            os.fchmod(handle, FOLDER_MODE)
    elif found.st_mode & stat.S_IWOTH:
        raise _unsafe(folder, setting, "may be written to by every user")


def _check_owner(found: os.stat_result, folder: Path, setting: str) -> None:
    if found.st_uid not in (os.geteuid(), _ROOT):
        raise _unsafe(folder, setting, f"belongs to the user with id {found.st_uid}, not to {os.geteuid()}")


def _unsafe(folder: Path, setting: str, fault: str) -> UnsafeFolder:
    return UnsafeFolder(f"{folder} {fault}: remove it, or set {setting} to a folder of this service's user")
