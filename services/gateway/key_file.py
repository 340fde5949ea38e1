"""Secret keys in files of the site."""

import os
import stat
from pathlib import Path
from typing import Final

_MIN_BYTES: Final = 32
_MAX_BYTES: Final = 4096
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_ROOT: Final = 0


class KeyUnusable(Exception):
    """The message names the file, the fault and the remedy."""


def read_key(path: Path, name: str) -> bytes:
    """Read a key, without white space at its ends.

    Parameters
    ----------
    name : of the key, for messages

    Raises
    ------
    KeyUnusable
        the file is unreadable, open to other users, or has fewer than 32 or more than 4,096 bytes
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        is_open = is_open_to_others(path.stat(), os.geteuid())
    except OSError as error:
        raise KeyUnusable(f"{path}: {name} is not readable ({error.strerror})") from error
    if is_open:
        raise KeyUnusable(f"{path}: {name} is open to other users: run `chmod 600` on it")
    if not _MIN_BYTES <= len(content.strip()) <= _MAX_BYTES:
        raise KeyUnusable(f"{path}: the key must have 32 to 4096 bytes: write one by `openssl rand -hex 32`")
    return content.strip()


def is_open_to_others(found: os.stat_result, user: int) -> bool:
    """Whether another user than root and `user` can use a file.

    Kubernetes mounts Secrets as files of root that a group may read: that of the pod's one user.
    """
    allowed = stat.S_IRGRP if found.st_uid == _ROOT != user else 0
    return bool(found.st_mode & _OTHERS & ~allowed)
