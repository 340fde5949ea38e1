"""A block of the index: the headers of some thousand files, stored until all blocks are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import pyarrow as pa
from pydantic import TypeAdapter

from services.preprocess.header import DicomHeader
from training.io.tables import write_table
from training.rsna.archive import Archive, Split
from training.rsna.headers import FileHeader, read_file_header

HEADERS: Final = TypeAdapter(DicomHeader)
BUCKETS: Final = 32  # each holds whole series; one needs little memory
_PART_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("file", "split", "patient_id", "reason")),
        ("bucket", pa.int8()),
        ("header", pa.binary()),
    ]
)


@dataclass(frozen=True, slots=True)
class Block:
    """Some files of one split, and the path of their headers."""

    path: Path
    split: Split
    files: tuple[str, ...]


def read_block(task: tuple[Archive, Block]) -> int:
    """Read the headers of a block's files and return their number.

    Raises
    ------
    TrainingError
        the disk is full
    """
    archive, block = task
    rows = [_row(read_file_header(archive, file), block.split) for file in block.files]
    table = pa.Table.from_pylist(rows, schema=_PART_SCHEMA).sort_by("bucket")
    # Sorted by bucket and in small row groups, so that one bucket is read without the others.
    write_table(block.path, table, block.path.stem, row_group_size=256)
    return len(rows)


def _row(file_header: FileHeader, split: Split) -> dict[str, str | int | bytes | None]:
    series = file_header.header.series_instance_uid if file_header.header else ""
    return {
        "file": file_header.file,
        "split": split,
        "patient_id": file_header.patient_id,
        "reason": file_header.reason,
        "bucket": crc32(series.encode()) % BUCKETS,
        "header": HEADERS.dump_json(file_header.header) if file_header.header else None,
    }
