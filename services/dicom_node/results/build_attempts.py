"""Counts attempts to build a kind, so that a kind that kills the process does not hold up the others for ever."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.common.durable_files import write_file
from services.dicom_node.kinds import Kind
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.result_object import ResultObject

MOST_ATTEMPTS: Final = 3
_REQUIRED: Final[Kind] = "sr"
_Builder = Callable[[ResultContext], Sequence[ResultObject]]


class TooManyAttempts(Exception):
    """The process ended while it built this kind, `MOST_ATTEMPTS` times."""


class BuildAttempts:
    """The attempts that have not ended, in a file beside the objects."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "build_attempts.json"

    def guarded(self, builders: Mapping[Kind, _Builder]) -> Mapping[Kind, _Builder]:
        """Builders that note their begin and end, and raise TooManyAttempts; the SR is tried again each time."""
        return {kind: self._guarded(kind, build) for kind, build in builders.items()}

    def _guarded(self, kind: Kind, build: _Builder) -> _Builder:
        def build_once(context: ResultContext) -> Sequence[ResultObject]:
            open_attempts = self._read()
            if kind != _REQUIRED and open_attempts.get(kind, 0) >= MOST_ATTEMPTS:
                raise TooManyAttempts
            self._write({**open_attempts, kind: open_attempts.get(kind, 0) + 1})
            try:
                return build(context)
            finally:
                self._write({one: count for one, count in open_attempts.items() if one != kind})

        return build_once

    def _read(self) -> dict[str, int]:
        try:
            counts: dict[str, int] = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        return counts

    def _write(self, open_attempts: Mapping[str, int]) -> None:
        if open_attempts:
            write_file(self._file, json.dumps(open_attempts).encode())
        else:
            self._file.unlink(missing_ok=True)
