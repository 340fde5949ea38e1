"""Pages of the audit log: lines of all its files, oldest first."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from services.gateway.audit.rotated import opened

_CURSOR: Final = re.compile("([0-9a-f]{16})-([0-9]{1,15})")


class InvalidPosition(ValueError):
    """No file of the log has the position: it was deleted meanwhile, or never was one."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two lines: first digits of the SHA-256 of a file's first line, and bytes from its begin."""

    file: str
    offset: int

    def __str__(self) -> str:
        return f"{self.file}-{self.offset}"


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Whole lines, and the place after them; None in an empty log."""

    lines: bytes
    end: Position | None


def parse_position(text: str) -> Position:
    """A position as `str` writes it; InvalidPosition for another text."""
    match = _CURSOR.fullmatch(text)
    if not match:
        raise InvalidPosition
    return Position(match[1], int(match[2]))


def read_page(path: Path, after: Position | None, limit: int) -> AuditPage:
    """The lines after a position, or the oldest ones.

    Parameters
    ----------
    path : the file that is written; rotated ones lie beside it
    limit : largest number of lines

    Raises
    ------
    InvalidPosition
        the position is in no file
    OSError
        a file cannot be read
    """
    with opened(path) as files:
        return _page([(name, file) for file in files if (name := _name(file))], after, limit)


def _page(files: list[tuple[str, BinaryIO]], after: Position | None, limit: int) -> AuditPage:
    if after:
        names = [name for name, _ in files]
        if after.file not in names:
            raise InvalidPosition
        files = files[names.index(after.file) :]
        _seek(files[0][1], after.offset)
    lines: list[bytes] = []
    end = after
    for name, file in files:
        lines += _whole_lines(file, limit - len(lines))
        end = Position(name, file.tell())
        if len(lines) == limit:
            break
    return AuditPage(b"".join(lines), end)


def _name(file: BinaryIO) -> str | None:
    """First digits of the SHA-256 of the first line, also of a damaged one; None for a file without one."""
    first = file.readline()
    file.seek(0)
    return hashlib.sha256(first).hexdigest()[:16] if first.endswith(b"\n") else None


def _seek(file: BinaryIO, offset: int) -> None:
    """Go to a place between two lines."""
    file.seek(max(offset - 1, 0))
    if offset and file.read(1) != b"\n":
        raise InvalidPosition


def _whole_lines(file: BinaryIO, most: int) -> Iterator[bytes]:
    """Lines up to the one that is being written; afterwards the file stands behind the last one."""
    for _ in range(most):
        place = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(place)
            return
        yield line
