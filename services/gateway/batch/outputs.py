"""The output files. The journal holds their sizes; data behind these belong to an interrupted run and are cut off."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from services.gateway.client import ClientError
from services.gateway.jobs.report_formats import COLUMNS, csv_line, csv_row, on_one_line

LEFT_OUT: Final = "left-out.csv"
_LEFT_OUT_COLUMNS: Final = ("job", "file", "code", "reason")
Encoder = Callable[[str, int, dict[str, Any]], bytes]


def _as_csv(job_id: str, number: int, report: dict[str, Any]) -> bytes:
    return csv_line([*csv_row(job_id, number, report), _first_file(report)])


def _first_file(report: dict[str, Any]) -> str | None:
    """The file of the lowest slice; of a failed series, the first file of its problem."""
    items = report.get("slices") or report.get("problem", {}).get("files") or [{}]
    name: str | None = items[0].get("file")
    return name


def _as_ndjson(_job_id: str, _number: int, report: dict[str, Any]) -> bytes:
    return on_one_line(json.dumps(report, ensure_ascii=False, separators=(",", ":")).encode()) + b"\n"


_REPORTS: Final[dict[str, tuple[str, Encoder, bytes]]] = {
    "csv": ("reports.csv", _as_csv, csv_line([*COLUMNS, "file"])),
    "ndjson": ("reports.ndjson", _as_ndjson, b""),
}
FORMATS: Final = tuple(_REPORTS)


class Outputs:
    """Reports as CSV and NDJSON, and files in no series as CSV."""

    def __init__(self, folder: Path, formats: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Open the files and cut them to the sizes in the journal.

        Raises
        ------
        ClientError
            a file is shorter than that, or a version with other columns has written it.
        """
        self.paths = [folder / _REPORTS[name][0] for name in formats]
        self._encoders = {_REPORTS[name][0]: _REPORTS[name][1] for name in formats}
        headers = {_REPORTS[name][0]: _REPORTS[name][2] for name in formats}
        headers[LEFT_OUT] = csv_line(_LEFT_OUT_COLUMNS)
        self._files = {name: _open(folder / name, sizes.get(name), header) for name, header in headers.items()}

    def write(self, job_id: str, reports: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Append reports; each comes with its number."""
        for number, report in reports:
            for name, encode in self._encoders.items():
                self._files[name].write(encode(job_id, number, report))

    def write_left_out(self, job_id: str, files: Iterable[Mapping[str, str]]) -> None:
        """Append files that are in no series."""
        for file in files:
            self._files[LEFT_OUT].write(csv_line([job_id, file["file"], file["code"], file["reason"]]))

    def sync(self) -> dict[str, int]:
        """Write everything to disk (`fsync`); the sizes of the files."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: file.tell() for name, file in self._files.items()}

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def _open(path: Path, size: int | None, header: bytes) -> BinaryIO:
    actual = path.stat().st_size if path.exists() else 0
    if actual < (size or 0):
        raise ClientError(
            f"{path} has {actual} bytes, fewer than this command wrote ({size}); restore it, or choose another folder"
        )
    file = path.open("r+b" if path.exists() else "w+b")
    if size and file.read(len(header)) != header:
        file.close()
        raise ClientError(f"{path} has the columns of another version; choose another folder for the reports")
    file.truncate(size or 0)
    file.seek(size or 0)
    if not size:
        file.write(header)
    return file
