"""Folds of patients: no patient's slices stand in two, each has its share of every bleeding, the rarest first.

Fold 0 is held out: it is measured on and never trained on.
"""

import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.common.labels import LABELS
from training.io.errors import TrainingError
from training.io.tables import read_table, table_digest, write_table

LOG = logging.getLogger(__name__)
VERSION: Final = 1
HELD_OUT: Final = 0
TEST: Final = -1  # the fold of the challenge's test slices, whose labels nobody tells
FEWEST: Final = 2


class Leak(TrainingError):
    """The same patient, study or series in two folds: what is measured would be remembered, not recognised."""


def assign_folds(table: Any, folds: int = 5, seed: int = 0) -> Any:
    """A fold for every patient of the training slices.

    Patients with the rarest label are dealt first, those without any last, each to the fold that has the fewest
    positive slices of that label. Whose turn it is depends on the seed and on the PatientID alone, not on the order
    of the rows.

    Parameters
    ----------
    table : the index, or its columns split, reason, patient_id and the labels
    folds : how many, 2 or more

    Returns
    -------
    a table of patient_id, fold (0 is held out), slices, and the positive slices of each label

    Raises
    ------
    TrainingError
        there are fewer patients than folds
    """
    patients = _patients(table)
    if not FEWEST <= folds <= patients.num_rows:
        raise TrainingError(
            f"{patients.num_rows} patients can't be dealt into {folds} folds: at least 2, a patient each."
        )
    positive = np.stack([patients[label].to_numpy() for label in LABELS], axis=1)
    dealt = _deal(patients["patient_id"].to_pylist(), patients["slices"].to_numpy(), positive, folds, seed)
    return patients.add_column(1, "fold", pa.array(dealt, pa.int32()))


def write_folds(index: Path, out: Path, *, folds: int, seed: int) -> None:
    """Deal the patients of an index, check that nothing leaks, and leave the folds in `out`.

    Raises
    ------
    TrainingError
        the index is missing, there are too few patients, or the disk is full
    """
    digest = sha256(f"{VERSION} {folds} {seed} {table_digest(index)}".encode()).hexdigest()
    columns = ["split", "reason", "patient_id", "study_uid", "series_uid", *LABELS]
    table = read_table(index, "index", columns)
    dealt = assign_folds(table, folds, seed)
    assert_no_leak(table, dealt)
    write_table(out, dealt, digest)
    for line in _shown(dealt, folds):
        LOG.info("%s", line)


def fold_of(table: Any, dealt: Any) -> NDArray[np.int32]:
    """The fold of each row of the index that is used; TEST for test slices.

    Raises
    ------
    TrainingError
        a training slice's patient has no fold
    """
    row = pc.index_in(table["patient_id"], value_set=dealt["patient_id"].combine_chunks())
    fold = pc.if_else(pc.equal(table["split"], "test"), TEST, dealt["fold"].take(row))
    if fold.null_count:
        raise TrainingError("Patients of the index have no fold: `python -m training folds` deals those of this index.")
    found: NDArray[np.int32] = fold.to_numpy().astype(np.int32)
    return found


def assert_no_leak(table: Any, dealt: Any) -> None:
    """Check that no patient, study or series stands in two folds, as the rows that are used say.

    Raises
    ------
    Leak
        one does
    TrainingError
        a training slice's patient has no fold
    """
    if pc.count_distinct(dealt["patient_id"]).as_py() != dealt.num_rows:
        raise Leak("A patient stands twice among the folds: nothing may be trained on them.")
    used = table.filter(pc.is_null(table["reason"]))
    dealt_to = used.append_column("fold", pa.array(fold_of(used, dealt)))
    trained = dealt_to.filter(pc.not_equal(dealt_to["fold"], TEST))
    for level in ("patient_id", "study_uid", "series_uid"):
        folds = trained.group_by(level).aggregate([("fold", "count_distinct")])["fold_count_distinct"]
        torn = pc.sum(pc.greater(folds, 1)).as_py()
        if torn:
            raise Leak(f"{torn} values of {level} stand in two folds: nothing may be trained on them.")


def _patients(table: Any) -> Any:
    """Each patient's slices, and how many of them are positive."""
    used = table.filter(pc.and_(pc.equal(table["split"], "train"), pc.is_null(table["reason"])))
    counted = used.select(["patient_id"]).append_column("slices", pa.array(np.ones(used.num_rows, np.int64)))
    for label in LABELS:
        counted = counted.append_column(label, pc.fill_null(used[label], False).cast(pa.int64()))  # noqa: FBT003 - pyarrow's
    names = ["slices", *LABELS]
    summed = counted.group_by("patient_id").aggregate([(name, "sum") for name in names])
    return summed.select(["patient_id", *(f"{name}_sum" for name in names)]).rename_columns(["patient_id", *names])


def _deal(
    patients: Sequence[str], slices: NDArray[np.int64], positive: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int32]:
    counts = np.column_stack([positive[:, np.argsort(positive.sum(axis=0), kind="stable")], slices])
    strata = (counts > 0).argmax(axis=1)  # the rarest label that the patient has; the last for those without any
    turn = sorted(range(len(patients)), key=lambda row: (strata[row], _draw(seed, patients[row])))
    held = np.zeros((folds, counts.shape[1]), np.int64)
    dealt = np.empty(len(patients), np.int32)
    for row in turn:
        # Where two folds have as much of the label, the one with fewer slices takes the patient.
        fold = int(np.lexsort((held[:, -1], held[:, strata[row]]))[0])
        dealt[row] = fold
        held[fold] += counts[row]
    return dealt


def _draw(seed: int, patient: str) -> str:
    return sha256(f"{seed} {patient}".encode()).hexdigest()


def _shown(dealt: Any, folds: int) -> list[str]:
    """A line a fold: patients, slices, positive slices."""
    lines = []
    for fold in range(folds):
        own = dealt.filter(pc.equal(dealt["fold"], fold))
        counts = ", ".join(f"{label} {pc.sum(own[label]).as_py()}" for label in LABELS)
        held = " (held out)" if fold == HELD_OUT else ""
        lines.append(f"fold {fold}{held}: {own.num_rows} patients, {pc.sum(own['slices']).as_py()} slices: {counts}")
    return lines
