"""Packs series into one shard: a file of concatenated codestreams, and a table of their offsets.

The table is written last: a shard without table is unfinished and is packed again.
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from services.common.recipe import Recipe
from services.preprocess.decoder_processes import DecoderProcesses
from services.preprocess.decompression import Decompress
from services.preprocess.dicom_file import open_dicom
from services.preprocess.errors import UnreadableFile
from training.io.files import write_atomically
from training.io.tables import table_digest, write_table
from training.rsna.archive import Archive, Damaged
from training.rsna.codec import PackedSlice, pack

# Spacings of the packed pixels, in patient orientation; they replace those of the header.
_SPACINGS: Final = ("row_spacing_mm", "column_spacing_mm")
_PLACES: Final = pa.schema(
    [
        *(("start", pa.int64()), ("bytes", pa.int32()), ("lowest_hu", pa.int32()), ("failure", pa.string())),
        *((name, pa.float64()) for name in _SPACINGS),
    ]
)


@dataclass(frozen=True, slots=True)
class Shard:
    """The task of one process: rows of the index, whole series in order.

    `digest` identifies index and range of values; `stem` is the path of the files without suffix.
    """

    stem: Path
    digest: str
    recipe: Recipe
    rows: Any

    @property
    def data(self) -> Path:
        """Path of the codestreams."""
        return self.stem.with_suffix(".bin")

    @property
    def table(self) -> Path:
        """Path of the rows, each with the offset of its codestream or the reason why it has none."""
        return self.stem.with_suffix(".parquet")

    @property
    def is_whole(self) -> bool:
        """Whether the shard is finished and made from this index."""
        return table_digest(self.table) == self.digest and self.data.is_file()


def pack_shard(task: tuple[Archive, Shard]) -> int:
    """Pack a shard's slices and return their number. A slice that cannot be decoded keeps its row, with the reason.

    Raises
    ------
    TrainingError
        the disk is full; nothing of this shard is left
    """
    archive, shard = task
    with closing(DecoderProcesses()) as decoders:
        packed = [
            _pack_slice(archive, file, shard.recipe, decoders.decompress) for file in shard.rows["file"].to_pylist()
        ]
    write_atomically(
        shard.data, lambda part: part.write_bytes(b"".join(one.data for one in packed if isinstance(one, PackedSlice)))
    )
    table, places = shard.rows.drop_columns(list(_SPACINGS)), _places(packed)
    for name in _PLACES.names:
        table = table.append_column(name, places[name])
    write_table(shard.table, table, shard.digest)
    return len(packed)


def _pack_slice(archive: Archive, file: str, recipe: Recipe, decompress: Decompress) -> PackedSlice | str:
    """Return a packed slice, or the code of the reason why it cannot be packed."""
    try:
        return pack(open_dicom(archive.read(file)).decode(0, decompress), recipe)
    except Damaged:
        return "unreadable"
    except UnreadableFile as failure:
        return failure.code


def _places(packed: list[PackedSlice | str]) -> Any:
    rows: list[dict[str, float | str]] = []
    start = 0
    for one in packed:
        if isinstance(one, str):
            rows.append({"failure": one})
            continue
        spacings = {name: getattr(one, name) for name in _SPACINGS}
        rows.append({"start": start, "bytes": len(one.data), "lowest_hu": one.lowest_hu, **spacings})
        start += len(one.data)
    return pa.Table.from_pylist(rows, schema=_PLACES)
