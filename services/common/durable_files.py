"""Files and folders that survive a power cut once they are written."""

import os
import secrets
import stat
from pathlib import Path

from services.common.private_folder import FILE_MODE, FOLDER_MODE, open_private


def fsync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes, like: os.stat_result | None = None) -> None:
    """Write or replace a file in one step, durably, readable by this user only.

    like : owner and group that get the file in place of this user; the group reads it where it read theirs
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb", opener=open_private) as file:
            if like:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), like.st_mode & stat.S_IRGRP | FILE_MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    fsync(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and the missing ones above it, durably, for this user only."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(FOLDER_MODE, exist_ok=True)
    fsync(path.parent)
