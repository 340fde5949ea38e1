"""Exports lines of an audit log, the oldest first: by time, from a line on, in pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from services.gateway.audit.chain import Line, read_line
from services.gateway.audit.rotated import opened

_MAX_LINE_BYTES: Final = 1024**2


class LineNotFound(Exception):
    """No line of the log has the hash to resume from."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The lines to export.

    since, until : UTC as in a line's `time`, inclusive and exclusive
    after : hash of the last line that was exported before
    limit : largest number of lines
    """

    since: str = ""
    until: str = "~"  # sorts behind digits
    after: str | None = None
    limit: int | None = None


@dataclass(slots=True)
class Export:
    """The lines of a selection; counts what it meets.

    last : hash of the last exported line, to resume from
    other_hash : lines whose hash is not that of their bytes: changed, or of another key
    no_lines : pieces of the files that are no audit lines, such as incomplete ones
    """

    path: Path
    selection: Selection
    key: bytes | None = None
    last: str | None = None
    other_hash: int = 0
    no_lines: int = 0

    def lines(self) -> Iterator[Line]:
        """Yield the selected lines.

        Raises
        ------
        OSError
            a file is unreadable
        LineNotFound
            `after` names no line of the log
        """
        chosen, left = self.selection, self.selection.limit
        with opened(self.path) as files:
            found = self._all(files)
            if chosen.after and not any(line.link.hash == chosen.after for line in found):
                raise LineNotFound
            self.last, self.other_hash, self.no_lines = chosen.after, 0, 0
            for line in found:
                if left == 0:
                    return
                if chosen.since <= str(line.fields.get("time", "")) < chosen.until:
                    left = None if left is None else left - 1
                    self.other_hash += not line.own_hash
                    self.last = line.link.hash
                    yield line

    def _all(self, files: Sequence[BinaryIO]) -> Iterator[Line]:
        for raw in chain.from_iterable(map(_raw_lines, files)):
            line = read_line(raw.removesuffix(b"\n"), self.key) if raw.endswith(b"\n") else None
            if line:
                yield line
            else:
                self.no_lines += raw != b"\n"


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.readline(_MAX_LINE_BYTES), b"")
