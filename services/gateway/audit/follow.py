"""Follows an audit log from a stored position on: through rotation, truncation and restarts, in bounded memory."""

import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final

from services.gateway.audit.chain import Line, read_line
from services.gateway.audit.rotated import identity_of, opened

MAX_LINE_BYTES: Final = 1024**2
MAX_BATCH_BYTES: Final = 256 * 1024
_HASH_BYTES: Final = 67  # of `<64 digits>"}\n`
_HASH: Final = re.compile("[0-9a-f]{64}")
_POSITION_BYTES: Final = 4096
_SEARCH_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Position:
    """The place behind a line: its hash, chain and number, the file by device and inode, and the offset in bytes."""

    hash: str
    chain: str
    sequence: int
    device: int
    inode: int
    offset: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines in their order, and the position behind the last one; None without a line.

    missing : number of lines that rotation deleted before they were read; None where it is unknown, 0 for none
    """

    lines: Sequence[tuple[Line, bytes]]
    position: Position | None
    missing: int | None = 0


def read_position(path: Path) -> Position | None:
    """The stored position; None without one, and where it is damaged."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_POSITION_BYTES))
        numbers = [found[name] for name in ("sequence", "device", "inode", "offset")]
        position = Position(str(found["hash"]), str(found["chain"]), *numbers)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    typed = all(type(number) is int and number >= 0 for number in numbers)
    return position if typed and _HASH.fullmatch(position.hash) else None


def write_position(path: Path, position: Position) -> None:
    """Store a position atomically, readable by the owner alone.

    Raises
    ------
    OSError
        the disk is full, or the folder is not writable
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(asdict(position)))
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class Follower:
    """Reads the lines behind a position, a batch at a time. It opens files for the time of a call only."""

    def __init__(self, path: Path, position: Position | None) -> None:
        self._path = path
        self.position = position

    def next_batch(self) -> Batch:
        """Return lines behind the position, at most 256 KiB and one line, and move the position behind them.

        Raises
        ------
        OSError
            a file is unreadable
        """
        with ExitStack() as stack:
            files = stack.enter_context(opened(self._path))
            place, known = self._place(files)
            batch = self._read(files, place, known=known)
        self.position = batch.position or self.position
        return batch

    def backlog_bytes(self) -> int:
        """Return the bytes behind the position, incomplete lines included."""
        with opened(self._path) as files:
            number, offset = self._place(files)[0]
            sizes = [os.fstat(file.fileno()).st_size for file in files[number:]]
        return max(sum(sizes) - offset, 0)

    def _place(self, files: Sequence[BinaryIO]) -> tuple[tuple[int, int], bool]:
        """The file and offset of the next line; and whether the last line was found, or there was none."""
        position = self.position
        if position is None:
            return (0, 0), True
        for number, file in enumerate(files):
            if identity_of(file) == (position.device, position.inode) and _ends_with(file, position):
                return (number, position.offset), True
        for number, file in enumerate(files):  # a copy, or a file that was cut and grew again
            if (offset := _find(file, position.hash)) is not None:
                return (number, offset), True
        return (0, 0), False

    def _read(self, files: Sequence[BinaryIO], place: tuple[int, int], *, known: bool) -> Batch:
        first, offset = place
        lines: list[tuple[Line, bytes]] = []
        size, position = 0, None
        for number, file in enumerate(files[first:], first):
            file.seek(offset if number == first else 0)
            while size < MAX_BATCH_BYTES and (raw := file.readline(MAX_LINE_BYTES)):
                if not raw.endswith(b"\n") and len(raw) < MAX_LINE_BYTES:
                    break  # being written, or incomplete for good: a later file follows
                line = read_line(raw[:-1]) if raw.endswith(b"\n") else None
                if line is None:
                    continue  # the end of an incomplete line, or no audit line
                size += len(raw)
                lines.append((line, raw[:-1]))
                position = Position(
                    line.link.hash, line.link.chain, line.link.sequence, *identity_of(file), file.tell()
                )
        return Batch(lines, position, 0 if known else self._missing(lines))

    def _missing(self, lines: Sequence[tuple[Line, bytes]]) -> int | None:
        """The number of lines between the last known line and the first one; None where it is unknown."""
        position = self.position
        if position is None or not lines or lines[0][0].link.chain != position.chain:
            return None
        return max(lines[0][0].link.sequence - position.sequence - 1, 0)


def _ends_with(file: BinaryIO, position: Position) -> bool:
    """Whether the line before the offset is still that of the position."""
    if position.offset < _HASH_BYTES or os.fstat(file.fileno()).st_size < position.offset:
        return False
    found = os.pread(file.fileno(), _HASH_BYTES, position.offset - _HASH_BYTES)
    return found == b'%s"}\n' % position.hash.encode()


def _find(file: BinaryIO, wanted: str) -> int | None:
    """The offset behind the line with this hash; None where the file has none."""
    ending = b'"%s"}\n' % wanted.encode()
    read, kept = 0, b""
    file.seek(0)
    while chunk := file.read(_SEARCH_BYTES):  # many lines at once: other threads go first
        data = kept + chunk
        if (at := data.find(ending)) >= 0:
            return read - len(kept) + at + len(ending)
        read, kept = read + len(chunk), data[1 - len(ending) :]
    return None
