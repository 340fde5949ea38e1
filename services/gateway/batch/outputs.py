"""The files that reports go to. Their sizes stand in the journal; what lies behind is a broken run's."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from services.gateway.client import Failure
from services.gateway.jobs.report_formats import COLUMNS, csv_line, csv_row, on_one_line

LEFT_OUT: Final = "left-out.csv"
_LEFT_OUT_COLUMNS: Final = ("job", "file", "code", "reason")
Line = Callable[[str, int, dict[str, Any]], bytes]


def _as_csv(job_id: str, number: int, report: dict[str, Any]) -> bytes:
    return csv_line([*csv_row(job_id, number, report), _first_file(report)])


def _first_file(report: dict[str, Any]) -> str | None:
    """The lowest slice's, or of what failed one that is named as a reason."""
    named = report.get("slices") or report.get("problem", {}).get("files") or [{}]
    name: str | None = named[0].get("file")
    return name


def _as_ndjson(_job_id: str, _number: int, report: dict[str, Any]) -> bytes:
    return on_one_line(json.dumps(report, ensure_ascii=False, separators=(",", ":")).encode()) + b"\n"


_REPORTS: Final[dict[str, tuple[str, Line, bytes]]] = {
    "csv": ("reports.csv", _as_csv, csv_line([*COLUMNS, "file"])),
    "ndjson": ("reports.ndjson", _as_ndjson, b""),
}
FORMATS: Final = tuple(_REPORTS)


class Outputs:
    """Reports as CSV and NDJSON, and the files that belong to no series as CSV."""

    def __init__(self, folder: Path, formats: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Open at the sizes that are known.

        Raises
        ------
        Failure
            a file is shorter than it was, or was begun by a version with other columns.
        """
        self.paths = [folder / _REPORTS[name][0] for name in formats]
        self._lines = {_REPORTS[name][0]: _REPORTS[name][1] for name in formats}
        heads = {_REPORTS[name][0]: _REPORTS[name][2] for name in formats}
        heads[LEFT_OUT] = csv_line(_LEFT_OUT_COLUMNS)
        self._files = {name: _open(folder / name, sizes.get(name), head) for name, head in heads.items()}

    def write(self, job_id: str, reports: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Add reports with their numbers."""
        for number, report in reports:
            for name, line in self._lines.items():
                self._files[name].write(line(job_id, number, report))

    def leave_out(self, job_id: str, files: Iterable[Mapping[str, str]]) -> None:
        """Add files that belong to no series."""
        for file in files:
            self._files[LEFT_OUT].write(csv_line([job_id, file["file"], file["code"], file["reason"]]))

    def sync(self) -> dict[str, int]:
        """Make all that was written durable; the sizes of the files."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: file.tell() for name, file in self._files.items()}

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def _open(path: Path, size: int | None, head: bytes) -> BinaryIO:
    there = path.stat().st_size if path.exists() else 0
    if there < (size or 0):
        raise Failure(f"{path} is shorter than this command left it; put it back, or choose another folder")
    file = path.open("r+b" if path.exists() else "w+b")
    if size and file.read(len(head)) != head:
        file.close()
        raise Failure(f"{path} was begun by a version with other columns; choose another folder for the reports")
    file.truncate(size or 0)
    file.seek(size or 0)
    if not size:
        file.write(head)
    return file
