"""Secret keys in files of the site."""

from pathlib import Path
from typing import Final

_MIN_BYTES: Final = 32
_MAX_BYTES: Final = 4096


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
        is_open = path.stat().st_mode & 0o077
    except OSError as error:
        raise KeyUnusable(f"{path}: {name} is not readable ({error.strerror})") from error
    if is_open:
        raise KeyUnusable(f"{path}: {name} is open to other users: run `chmod 600` on it")
    if not _MIN_BYTES <= len(content.strip()) <= _MAX_BYTES:
        raise KeyUnusable(f"{path}: the key must have 32 to 4096 bytes: write one by `openssl rand -hex 32`")
    return content.strip()
