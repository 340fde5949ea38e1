"""Verifies audit files in the order of their age."""

import re
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from services.gateway.audit.chain import Link
from services.gateway.audit.verification import Verification

_ROTATED: Final = re.compile(r"(.+?)(?:\.([0-9]+))?")
_HEAD: Final = re.compile(r'"chain":"([0-9a-f]{16})","seq":([0-9]{1,18}),"hash":"([0-9a-f]{64})"\}')
_MAX_LINE_BYTES: Final = 1024**2
_WRITE_S: Final = 0.2


def verify(files: Sequence[Path], heads: Sequence[Link] = (), key: bytes | None = None) -> Verification:
    """Verify files of one or more audit logs; the files of a log, `<name>` and `<name>.<number>`, are sorted by age.

    Raises
    ------
    OSError
        a file is unreadable
    """
    found = Verification(heads, key)
    for _, group in groupby(sorted(files, key=_age), key=lambda path: _age(path)[0]):
        found.read(line for path in group for line in _lines(path))
    found.compare_ends()
    return found


def read_heads(path: Path) -> list[Link]:
    """The heads in a file, the oldest first; a line of syslog has other text before the JSON.

    Raises
    ------
    OSError
        the file is unreadable
    """
    return [head for text in path.read_text(errors="replace").splitlines() if (head := _head(text))]


def _head(text: str) -> Link | None:
    match = _HEAD.search(text)
    return Link(match[1], int(match[2]), match[3]) if match else None


def _age(path: Path) -> tuple[str, int]:
    """The path of the log, and a number that sorts the oldest file first."""
    match = _ROTATED.fullmatch(path.name)
    name, number = match.groups() if match else (path.name, None)
    return str(path.with_name(name)), -int(number or 0)


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The lines with their places; a line that a running process is writing gets a moment to end."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE_BYTES), b""), start=1):
            if not line.endswith(b"\n"):
                time.sleep(_WRITE_S)
            yield f"{path}:{number}", line if line.endswith(b"\n") else line + file.readline(_MAX_LINE_BYTES)
