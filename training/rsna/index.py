"""The index: one row for every DICOM file of the archive, in one Parquet file.

Headers are read in parts, in the order of the archive; a finished part is not read again. The parts are then sorted
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
from training.rsna.index_parts import BUCKETS, Part, read_part
from training.rsna.index_report import write_report
from training.rsna.index_series import order_bucket
from training.rsna.labels import UNKNOWN, LabelTable

LOG = logging.getLogger(__name__)
_NAMES_SHOWN: Final = 3
VERSION: Final = 2  # of the index's content; an index of another version is built again
PARTS_VERSION: Final = 3  # of a part's fields: a stopped run of an older version is not continued
_SORTED: Final = [(column, "ascending") for column in ("split", "study_uid", "series_uid", "order", "file")]


def build_index(archive: Archive, out: Path, *, processes: int | None = None, part_files: int = 4096) -> None:
    """Read every header; write the index to `out`, and beside it the files set aside (.set_aside.txt, .json).

    An index of the same archive stays; finished parts of an interrupted run are used.

    Parameters
    ----------
    part_files : files in each part

    Raises
    ------
    TrainingError
        the archive has no labels, no label belongs to one of its files, or the disk is full; finished parts stay
    """
    digest = digest_for(archive)
    if table_digest(out) == digest:
        LOG.info("%s exists already for this archive", out)
        return
    labels = archive.labels()
    _check_names(labels, archive.dicom_names("train"))
    if len(archive.sizes) <= part_files:
        processes = 1  # starting more takes longer
    folder = out.with_name(f"{out.name}.parts{PARTS_VERSION}-{digest[:12]}-{part_files}")
    _read_parts(archive, folder, part_files, processes)
    index = _with_labels(_ordered(folder, processes), labels)
    write_report(out, index, labels)
    write_table(out, index, digest, row_group_size=1 << 16)
    shutil.rmtree(folder)


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


def _read_parts(archive: Archive, folder: Path, part_files: int, processes: int | None) -> None:
    parts = list(_parts(archive, folder, part_files))
    missing = [part for part in parts if not part.path.is_file()]
    total, to_do = (sum(len(part.files) for part in some) for some in (parts, missing))
    with progress_bar("headers", total, "files", total - to_do) as shown:
        # A part's own archive is made just before its task is submitted, which saves memory.
        tasks = ((archive.only(part.files), part) for part in missing)
        for count in parallel_map(read_part, tasks, processes):
            shown.update(count)


def _parts(archive: Archive, folder: Path, part_files: int) -> Iterator[Part]:
    for split in ("train", "test"):
        names = archive.dicom_names(split)
        for start in range(0, len(names), part_files):
            yield Part(folder / f"{split}-{start:07d}.parquet", split, names[start : start + part_files])


def _ordered(folder: Path, processes: int | None) -> Any:
    tables = []
    with progress_bar("series", BUCKETS, "parts") as shown:
        for table in parallel_map(partial(order_bucket, folder), range(BUCKETS), processes):
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
