"""Folds by patient, stratified by haemorrhage type, the rarest type first. No patient is in two folds.

Fold 0 is held out: for evaluation, never for training.
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
TEST: Final = -1  # fold of the challenge's test slices, which have no labels
FEWEST: Final = 2


class Leak(TrainingError):
    """The same patient, study or series is in two folds, so that evaluation data would be training data."""


def assign_folds(table: Any, folds: int = 5, seed: int = 0) -> Any:
    """Assign every patient of the training slices to a fold.

    Patients with the rarest label come first, patients without any label last. Each goes to the fold with the fewest
    positive slices of that label. The order depends on the seed and the PatientID, not on the order of the rows.

    Parameters
    ----------
    table : the index, or its columns split, reason, patient_id and the labels
    folds : number of folds, 2 or more

    Returns
    -------
    table of patient_id, fold (0 is held out), slices, and the positive slices of each label

    Raises
    ------
    TrainingError
        fewer patients than folds
    """
    patients = _patients(table)
    if not FEWEST <= folds <= patients.num_rows:
        raise TrainingError(
            f"{patients.num_rows} patients do not fill {folds} folds: use 2 or more, each with a patient."
        )
    positive = np.stack([patients[label].to_numpy() for label in LABELS], axis=1)
    assigned = _assign(patients["patient_id"].to_pylist(), patients["slices"].to_numpy(), positive, folds, seed)
    return patients.add_column(1, "fold", pa.array(assigned, pa.int32()))


def write_folds(index: Path, out: Path, *, folds: int, seed: int) -> None:
    """Assign the patients of an index to folds, check for leaks, and write the folds to `out`.

    Raises
    ------
    TrainingError
        the index is missing, there are too few patients, or the disk is full
    """
    digest = sha256(f"{VERSION} {folds} {seed} {table_digest(index)}".encode()).hexdigest()
    columns = ["split", "reason", "patient_id", "study_uid", "series_uid", *LABELS]
    table = read_table(index, "index", columns)
    assigned = assign_folds(table, folds, seed)
    assert_no_leak(table, assigned)
    write_table(out, assigned, digest)
    for line in _descriptions(assigned, folds):
        LOG.info("%s", line)


def fold_of(table: Any, assigned: Any) -> NDArray[np.int32]:
    """Return the fold of each row, (n,) int32; TEST for test slices.

    Raises
    ------
    TrainingError
        the patient of a training slice has no fold
    """
    row = pc.index_in(table["patient_id"], value_set=assigned["patient_id"].combine_chunks())
    fold = pc.if_else(pc.equal(table["split"], "test"), TEST, assigned["fold"].take(row))
    if fold.null_count:
        raise TrainingError("Patients of the index have no fold: run `python -m training folds` for this index.")
    found: NDArray[np.int32] = fold.to_numpy().astype(np.int32)
    return found


def assert_no_leak(table: Any, assigned: Any) -> None:
    """Check that no patient, study or series is in two folds.

    Raises
    ------
    Leak
        one is
    TrainingError
        the patient of a training slice has no fold
    """
    if pc.count_distinct(assigned["patient_id"]).as_py() != assigned.num_rows:
        raise Leak("A patient is listed twice in the folds: they cannot be used for training.")
    used = table.filter(pc.is_null(table["reason"]))
    used_with_fold = used.append_column("fold", pa.array(fold_of(used, assigned)))
    trained = used_with_fold.filter(pc.not_equal(used_with_fold["fold"], TEST))
    for level in ("patient_id", "study_uid", "series_uid"):
        folds = trained.group_by(level).aggregate([("fold", "count_distinct")])["fold_count_distinct"]
        torn = pc.sum(pc.greater(folds, 1)).as_py()
        if torn:
            raise Leak(f"{torn} values of {level} are in two folds: they cannot be used for training.")


def _patients(table: Any) -> Any:
    """Count each patient's slices and positive slices."""
    used = table.filter(pc.and_(pc.equal(table["split"], "train"), pc.is_null(table["reason"])))
    counted = used.select(["patient_id"]).append_column("slices", pa.array(np.ones(used.num_rows, np.int64)))
    for label in LABELS:
        counted = counted.append_column(label, pc.fill_null(used[label], False).cast(pa.int64()))  # noqa: FBT003 - pyarrow's
    names = ["slices", *LABELS]
    summed = counted.group_by("patient_id").aggregate([(name, "sum") for name in names])
    return summed.select(["patient_id", *(f"{name}_sum" for name in names)]).rename_columns(["patient_id", *names])


def _assign(
    patients: Sequence[str], slices: NDArray[np.int64], positive: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int32]:
    counts = np.column_stack([positive[:, np.argsort(positive.sum(axis=0), kind="stable")], slices])
    strata = (counts > 0).argmax(axis=1)  # the patient's rarest label; the last column for patients without any
    order = sorted(range(len(patients)), key=lambda row: (strata[row], _random_key(seed, patients[row])))
    held = np.zeros((folds, counts.shape[1]), np.int64)
    assigned = np.empty(len(patients), np.int32)
    for row in order:
        # Among folds with equally few positive slices, the one with the fewest slices takes the patient.
        fold = int(np.lexsort((held[:, -1], held[:, strata[row]]))[0])
        assigned[row] = fold
        held[fold] += counts[row]
    return assigned


def _random_key(seed: int, patient: str) -> str:
    return sha256(f"{seed} {patient}".encode()).hexdigest()


def _descriptions(assigned: Any, folds: int) -> list[str]:
    """Describe each fold in a line: patients, slices, positive slices."""
    lines = []
    for fold in range(folds):
        own = assigned.filter(pc.equal(assigned["fold"], fold))
        counts = ", ".join(f"{label} {pc.sum(own[label]).as_py()}" for label in LABELS)
        held = " (held out)" if fold == HELD_OUT else ""
        lines.append(f"fold {fold}{held}: {own.num_rows} patients, {pc.sum(own['slices']).as_py()} slices: {counts}")
    return lines
