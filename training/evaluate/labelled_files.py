"""A site's DICOM files, in a folder or a zip, and the table of their labels.

The table is a CSV with a header line. One column identifies a row, the others hold its labels:

    sop_instance_uid | file | series_instance_uid     a slice by its UID or its file's path or name, or a whole series
    any epidural intraparenchymal intraventricular subarachnoid subdural      1, 0, or empty for not known
    patient                                           optional; the study by default

Labels without a column are not known; `any` follows from the subtypes where they decide it. The challenge's table
(ID,Label) is read, too.
"""

import csv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Final, Literal, Self

from services.common.labels import LABELS
from training.io.errors import TrainingError
from training.rsna.labels import read_labels

Key = Literal["sop_instance_uid", "file", "series_instance_uid"]
KEYS: Final[tuple[Key, ...]] = ("sop_instance_uid", "file", "series_instance_uid")
KEY_WORDS: Final[Mapping[Key, str]] = {
    "sop_instance_uid": "SOPInstanceUIDs",
    "file": "paths in the folder or zip, names of files, or names without their ending",
    "series_instance_uid": "SeriesInstanceUIDs",
}
Row = tuple[bool | None, ...]  # the six labels; None for not known
_VALUES: Final[Mapping[str, bool | None]] = {"1": True, "0": False, "": None}


@dataclass(frozen=True, slots=True)
class Truth:
    """The labels of a table by the key of its rows, and their patients."""

    key: Key
    rows: Mapping[str, Row]
    patients: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """One file; `read` returns its first bytes, or all with None."""

    name: str
    size: int
    read: Callable[[int | None], bytes]

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> Self:
        """A file in memory."""
        return cls(name, len(data), lambda limit_bytes: data[:limit_bytes])


def site_files(path: Path) -> list[File]:
    """All files of a folder or a zip.

    Raises
    ------
    TrainingError
        the path is neither
    """
    if path.is_dir():
        return [
            File(each.relative_to(path).as_posix(), each.stat().st_size, _of_folder(each))
            for each in sorted(path.rglob("*"))
            if each.is_file()
        ]
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        raise TrainingError(f"{path} is neither a folder nor a zip that can be read.") from None
    return [
        File(entry.filename, entry.file_size, _of_zip(archive, entry))
        for entry in archive.infolist()
        if not entry.is_dir()
    ]


def read_truth(path: Path) -> Truth:
    """Read a site's table.

    Raises
    ------
    TrainingError
        it can't be read, has no column that identifies its rows, or a value other than 1, 0 and empty
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise TrainingError(f"{path} is no table that can be read.") from None
    lines = csv.DictReader(StringIO(text))
    columns = list(lines.fieldnames or ())
    if columns == ["ID", "Label"]:
        return _challenge(text.encode())
    keys = [key for key in KEYS if key in columns]
    if len(keys) != 1 or not set(columns) & set(LABELS):
        raise TrainingError(f"{path} must have one of the columns {', '.join(KEYS)}, and some of {', '.join(LABELS)}.")
    every = list(lines)
    return Truth(
        keys[0],
        {line[keys[0]]: _row(line, number, path) for number, line in enumerate(every, 2)},
        {line[keys[0]]: line["patient"] for line in every if line.get("patient")},
    )


def of_slice(truth: Truth, uid: str | None, name: str) -> tuple[str, Row] | None:
    """The key and the row of one slice; None where the table has no such row."""
    if truth.key == "series_instance_uid":
        return None
    wanted = (
        [uid or ""] if truth.key == "sop_instance_uid" else [name, PurePosixPath(name).name, PurePosixPath(name).stem]
    )
    return next(((each, truth.rows[each]) for each in wanted if each in truth.rows), None)


def any_of(values: Sequence[bool | None]) -> bool | None:
    """Whether a value is true; None without a true one but with one not known."""
    if any(values):
        return True
    return None if None in values else False


def _challenge(table: bytes) -> Truth:
    read = read_labels(table)
    known: Sequence[bool | None] = (False, True, None)  # by 0, 1 and -1
    rows = {
        str(name): tuple(known[value] for value in values)
        for name, values in zip(read.slices.to_pylist(), read.values.tolist(), strict=True)
    }
    return Truth("file", rows, {})


def _row(line: Mapping[str, str | None], number: int, path: Path) -> Row:
    values = [(line.get(label) or "").strip() for label in LABELS]
    if not set(values) <= set(_VALUES):
        raise TrainingError(f"Row {number} of {path} has a label that is neither 1, 0 nor empty.")
    any_, *subtypes = (_VALUES[value] for value in values)
    return (any_of(subtypes) if any_ is None else any_, *subtypes)


def _of_folder(path: Path) -> Callable[[int | None], bytes]:
    def read(limit_bytes: int | None) -> bytes:
        with path.open("rb") as file:
            return file.read(-1 if limit_bytes is None else limit_bytes)

    return read


def _of_zip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[int | None], bytes]:
    def read(limit_bytes: int | None) -> bytes:
        with archive.open(entry) as file:
            return file.read(-1 if limit_bytes is None else limit_bytes)

    return read
