"""Reads the challenge's table of labels: `ID_xxxxxxxxx_epidural,0`, six rows a slice, some duplicated."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from services.common.labels import LABELS
from training.io.errors import TrainingError

UNKNOWN: Final = -1
_COLUMNS: Final = ("ID", "Label")
_NAME: Final = r"^(?P<slice>.+)_(?P<label>[^_]+)$"


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The labels, and the faults of the table.

    Attributes
    ----------
    slices : (n,) strings, each slice once
    values : (n, 6) int8 in the order of LABELS, 1 or 0; -1 where no row exists or two rows conflict
    duplicates : number of duplicate rows
    conflicts : number of labels that are unknown because their rows conflict
    missing : number of labels without a row, of slices in the table
    """

    slices: Any
    values: NDArray[np.int8]
    duplicates: int
    conflicts: int
    missing: int

    def of(self, slices: Sequence[str]) -> NDArray[np.int8]:
        """Return the labels of slices, (k, 6) int8; -1 where unknown."""
        rows = pc.index_in(pa.array(slices, pa.string()), value_set=self.slices).fill_null(len(self.values))
        beyond = np.full((1, len(LABELS)), UNKNOWN, np.int8)
        found: NDArray[np.int8] = np.concatenate([self.values, beyond])[rows.to_numpy()]
        return found


def read_labels(table: bytes) -> LabelTable:
    """Read the table from CSV.

    Raises
    ------
    TrainingError
        other columns, no rows, values other than 0 and 1, or an unknown label
    """
    read = _read(table)
    if tuple(read.column_names) != _COLUMNS:
        raise TrainingError(f"The table of labels has the columns {', '.join(read.column_names)} instead of ID, Label.")
    if not read.num_rows:
        raise TrainingError("The table of labels has no rows.")
    names = pc.extract_regex(read["ID"].combine_chunks(), _NAME)
    slices = names.field("slice").dictionary_encode()
    values = _values(read["Label"])
    cells = slices.indices.to_numpy().astype(np.int64) * len(LABELS) + _columns(names)
    return _table(slices.dictionary, cells, values)


def _read(table: bytes) -> Any:
    try:
        return csv.read_csv(BytesIO(table), convert_options=csv.ConvertOptions(column_types={"ID": pa.string()}))
    except pa.ArrowInvalid:
        raise TrainingError(
            "The table of labels is not a CSV with columns ID, Label: it is damaged or another file."
        ) from None


def _values(column: Any) -> NDArray[np.int8]:
    """Return 0 or 1 of every row."""
    known = pa.types.is_integer(column.type) and not column.null_count
    values: NDArray[np.int64] = column.to_numpy() if known else np.array([UNKNOWN])
    if not np.isin(values, (0, 1)).all():
        raise TrainingError("The table of labels has values other than 0 and 1 in its column Label.")
    return values.astype(np.int8)


def _columns(names: Any) -> NDArray[np.int64]:
    """Return the index in LABELS of every row's label."""
    labels = names.field("label")
    places = pc.index_in(labels, value_set=pa.array(LABELS))
    if names.null_count or places.null_count:
        row = int(pc.index(pc.is_null(places), value=True).as_py())
        label = labels[row].as_py()
        shown = f"the label {label!r}" if label and not names.null_count else "a row without a label"
        raise TrainingError(f"The table of labels has {shown} in row {row + 2}, not one of {', '.join(LABELS)}.")
    found: NDArray[np.int64] = places.to_numpy().astype(np.int64)
    return found


def _table(slices: Any, cells: NDArray[np.int64], values: NDArray[np.int8]) -> LabelTable:
    """Put the rows' values into cells; `cells` holds each row's cell, six for each slice."""
    flat = np.full(len(slices) * len(LABELS), UNKNOWN, np.int8)
    flat[cells] = values
    rows = np.bincount(cells, minlength=len(flat))
    conflicting = np.unique(cells[flat[cells] != values])
    flat[conflicting] = UNKNOWN
    return LabelTable(
        slices=slices,
        values=flat.reshape(-1, len(LABELS)),
        duplicates=int((rows - 1).clip(0).sum()),
        conflicts=len(conflicting),
        missing=int((rows == 0).sum()),
    )
