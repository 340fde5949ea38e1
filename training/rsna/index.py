"""The index: one row for every DICOM file of the archive, in one Parquet file.

Headers are read in blocks, in the order of the archive; a finished block is not read again. The blocks are then sorted
into series by the rules of the services, and the labels are joined.

    file                    its name in the archive
    split                   train or test
    sop_instance_uid ...    from the header; null where unreadable
    position_mm, order      along the normal of the series, from the lowest slice; null where set aside
    any ... subdural        the labels; null where unknown
    reason                  code of `training.rsna.headers.REASON_TEXTS` where the file is set aside, else null
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from services.common.labels import LABELS
from training.io.errors import TrainingError
from training.io.pool import parallel_map
from training.io.progress import progress_bar
from training.io.tables import table_digest, write_table
from training.rsna.archive import FOLDERS, Archive
from training.rsna.headers import stem
from training.rsna.index_blocks import BUCKETS, Block, read_block
from training.rsna.index_report import write_report
from training.rsna.index_series import order_bucket
from training.rsna.labels import UNKNOWN, LabelTable

LOG = logging.getLogger(__name__)
_NAMES_SHOWN: Final = 3
VERSION: Final = 2  # of the index's content; an index of another version is built again
BLOCKS_VERSION: Final = 3  # of a block's fields: a stopped run of an older version is not continued
BLOCK_FILES: Final = 4096
_SORTED: Final = [(column, "ascending") for column in ("split", "study_uid", "series_uid", "order", "file")]


def build_index(archive: Archive, out: Path, *, processes: int | None = None, block_files: int = BLOCK_FILES) -> None:
    """Read every header; write the index to `out`, and beside it the files set aside (.set_aside.txt, .json).

    An index of the same archive stays; finished blocks of an interrupted run are used.

    Parameters
    ----------
    block_files : files in each block

    Raises
    ------
    TrainingError
        the archive has no labels, no label belongs to one of its files, or the disk is full; finished blocks stay
    """
    if is_index_of(archive, out):
        return
    labels = labels_of(archive)
    if len(archive.sizes) <= block_files:
        processes = 1  # starting more takes longer
    blocks = plan_blocks(archive, out, block_files)
    read_blocks(archive, blocks, processes)
    write_index(archive, labels, blocks, out, processes)


def is_index_of(archive: Archive, out: Path) -> bool:
    """Whether `out` is the index of this archive already."""
    found = table_digest(out) == digest_for(archive)
    if found:
        LOG.info("%s exists already for this archive", out)
    return found


def labels_of(archive: Archive) -> LabelTable:
    """Read the labels; raises a TrainingError where no training file has one."""
    labels = archive.labels()
    _check_names(labels, archive.dicom_names("train"))
    return labels


def plan_blocks(archive: Archive, out: Path, block_files: int) -> list[Block]:
    """Return the blocks of headers, with paths beside `out` that depend on archive and size."""
    folder = out.with_name(f"{out.name}.parts{BLOCKS_VERSION}-{digest_for(archive)[:12]}-{block_files}")
    return list(_blocks(archive, folder, block_files))


def read_blocks(archive: Archive, blocks: Sequence[Block], processes: int | None) -> None:
    """Read the headers of those blocks that are not on disk."""
    missing = [block for block in blocks if not block.path.is_file()]
    total, to_do = (sum(len(block.files) for block in some) for some in (blocks, missing))
    with progress_bar("headers", total, "files", total - to_do) as shown:
        # A block's own archive is made just before its task is submitted, which saves memory.
        tasks = ((archive.only(block.files), block) for block in missing)
        for count in parallel_map(read_block, tasks, processes):
            shown.update(count)


def write_index(
    archive: Archive, labels: LabelTable, blocks: Sequence[Block], out: Path, processes: int | None
) -> None:
    """Sort the headers of all blocks into series, write the index and its report, and remove the blocks."""
    index = _with_labels(_ordered(blocks, processes), labels)
    write_report(out, index, labels)
    write_table(out, index, digest_for(archive), row_group_size=1 << 16)
    shutil.rmtree(blocks[0].path.parent)


def digest_for(archive: Archive) -> str:
    """Return the digest of an archive's index."""
    return sha256(f"{VERSION} {archive.digest}".encode()).hexdigest()


def _check_names(labels: LabelTable, files: Sequence[str]) -> None:
    """Raise a TrainingError where no training file has a label."""
    if not files:
        raise TrainingError(f"The archive has no file {FOLDERS['train']}/*.dcm: training needs them.")
    if (labels.of([stem(file) for file in files]) == UNKNOWN).all():
        raise TrainingError(
            f"The table of labels has no label for any of the {len(files)} training files. Its slices are named "
            f"{_some(labels.slices.to_pylist())}; the files are {_some(files)}. A slice's name must be its file's "
            "name without .dcm."
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
    return f"{shown} ..." if len(names) > _NAMES_SHOWN else shown


def _blocks(archive: Archive, folder: Path, block_files: int) -> Iterator[Block]:
    for split in ("train", "test"):
        names = archive.dicom_names(split)
        for start in range(0, len(names), block_files):
            yield Block(folder / f"{split}-{start:07d}.parquet", split, names[start : start + block_files])


def _ordered(blocks: Sequence[Block], processes: int | None) -> Any:
    tables, paths = [], [str(block.path) for block in blocks]
    with progress_bar("series", BUCKETS, "buckets") as shown:
        for table in parallel_map(partial(order_bucket, paths), range(BUCKETS), processes):
            tables.append(table)
            shown.update()
    return pa.concat_tables(tables).sort_by(_SORTED)


def _with_labels(index: Any, labels: LabelTable) -> Any:
    """Add the labels of the training slices as columns before the reason."""
    values = labels.of([stem(file) for file in index["file"].to_pylist()])
    values[np.array(index["split"]) == "test"] = UNKNOWN
    for column, label in enumerate(LABELS):
        label_column = pa.array(values[:, column] == 1, mask=values[:, column] == UNKNOWN)
        index = index.add_column(index.num_columns - 1, label, label_column)
    return index
