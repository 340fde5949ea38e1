"""A part of the index: the headers of some thousand files, kept as they were read until all have been."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import pyarrow as pa
from pydantic import TypeAdapter

from services.preprocess.header import DicomHeader
from training.io.tables import write_table
from training.rsna.archive import Archive, Split
from training.rsna.headers import Seen, look

HEADERS: Final = TypeAdapter(DicomHeader)
BUCKETS: Final = 32  # a series lies in one of them whole, and one fits into memory many times
_PART_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("file", "split", "patient_id", "reason")),
        ("bucket", pa.int8()),
        ("header", pa.binary()),
    ]
)


@dataclass(frozen=True, slots=True)
class Part:
    """Some files of one split, and where what is read of them is kept."""

    path: Path
    split: Split
    files: tuple[str, ...]


def read_part(task: tuple[Archive, Part]) -> int:
    """Read the headers of a part's files; how many there were.

    Raises
    ------
    TrainingError
        the disk is full
    """
    archive, part = task
    rows = [_row(look(archive, file), part.split) for file in part.files]
    table = pa.Table.from_pylist(rows, schema=_PART_SCHEMA).sort_by("bucket")
    # In the order of the buckets and in small groups, so that one bucket is found without reading the others.
    write_table(part.path, table, part.path.stem, row_group_size=256)
    return len(rows)


def _row(seen: Seen, split: Split) -> dict[str, str | int | bytes | None]:
    series = seen.header.series_instance_uid if seen.header else ""
    return {
        "file": seen.file,
        "split": split,
        "patient_id": seen.patient_id,
        "reason": seen.reason,
        "bucket": crc32(series.encode()) % BUCKETS,
        "header": HEADERS.dump_json(seen.header) if seen.header else None,
    }
