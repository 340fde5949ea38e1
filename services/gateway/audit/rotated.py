"""The files of one audit log, opened so that a rotation meanwhile hides none."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@contextmanager
def opened(path: Path) -> Iterator[Sequence[BinaryIO]]:
    """Open `path` and its rotated files, `<name>.<number>`, and yield them, the oldest first.

    The newest is opened first: a rotation moves files to higher numbers, which are opened later. A file that was
    opened twice is yielded once.

    Raises
    ------
    OSError
        a file is unreadable
    """
    with ExitStack() as stack:
        files: list[BinaryIO] = []
        seen: set[tuple[int, int]] = set()
        number = 0
        while number <= _highest(path):
            if file := _open(path if number == 0 else path.with_name(f"{path.name}.{number}")):
                stack.callback(file.close)
                identity = identity_of(file)
                if identity not in seen:
                    files.append(file)
                    seen.add(identity)
            number += 1
        yield files[::-1]


def identity_of(file: BinaryIO) -> tuple[int, int]:
    """Device and number of an open file, which a rename keeps."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def _open(path: Path) -> BinaryIO | None:
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        return None


def _highest(path: Path) -> int:
    """The highest number of a rotated file; 0 without one."""
    endings = (each.name.removeprefix(f"{path.name}.") for each in path.parent.glob(f"{path.name}.*"))
    return max((int(ending) for ending in endings if _NUMBER.fullmatch(ending)), default=0)
