from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.labels import LABELS
from tests.training.archives import files, write_zip
from training.io.errors import TrainingError
from training.rsna.archive import open_archive
from training.rsna.folds import HELD_OUT, TEST, Leak, assert_no_leak, assign_folds, fold_of, write_folds
from training.rsna.index import build_index

RAREST = "epidural"


def _index(patients: int, seed: int = 0, slices: int = 6) -> Any:
    """An index of patients with one or two studies each; one in twelve has epidural slices, one in three any."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for patient in range(patients):
        bleeds = (RAREST,) if patient % 12 == 0 else ("subdural",) if patient % 3 == 0 else ()
        for number in range(int(rng.integers(1, slices))):
            study = f"{patient}.{number % 2}"
            own = {label: label in (*bleeds, *("any" for _ in bleeds)) for label in LABELS}
            uids = {"patient_id": f"P{patient}", "study_uid": study, "series_uid": f"{study}.1"}
            rows.append(uids | own | {"split": "train", "reason": None})
    return _table(rows)


def _table(rows: list[dict[str, Any]]) -> Any:
    texts = ("patient_id", "study_uid", "series_uid", "split", "reason")
    fields = [*((name, pa.string()) for name in texts), *((label, pa.bool_()) for label in LABELS)]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _by_patient(dealt: Any) -> dict[str, int]:
    return {row["patient_id"]: row["fold"] for row in dealt.to_pylist()}


@settings(max_examples=25, deadline=None)
@given(st.integers(10, 80), st.integers(2, 6), st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_fold_and_nothing_leaks(
    patients: int, folds: int, seed: int, random: Any
) -> None:
    index = _index(patients)
    dealt = assign_folds(index, folds, seed)
    order = list(range(index.num_rows))
    random.shuffle(order)
    assert _by_patient(assign_folds(index.take(order), folds, seed)) == _by_patient(dealt)
    assert_no_leak(index, dealt)
    assert set(dealt["fold"].to_pylist()) == set(range(folds))
    assert dealt.num_rows == patients


def test_another_seed_deals_otherwise() -> None:
    index = _index(60)
    assert _by_patient(assign_folds(index, seed=1)) != _by_patient(assign_folds(index, seed=2))


def test_every_fold_has_its_share_of_the_rarest_label_and_of_all_slices() -> None:
    dealt = assign_folds(_index(600, slices=40))
    shares = dealt.group_by("fold").aggregate([(name, "sum") for name in (RAREST, "subdural", "slices")])
    for name in (RAREST, "subdural", "slices"):
        counts = shares[f"{name}_sum"].to_numpy()
        assert counts.max() < 1.15 * counts.mean()
        assert counts.min() > 0.85 * counts.mean()


def test_slices_that_are_set_aside_and_test_slices_deal_nobody() -> None:
    index = _index(12)
    aside = index.slice(0, 1).to_pylist()[0] | {"patient_id": "aside", "reason": "suspect"}
    test = index.slice(0, 1).to_pylist()[0] | {"patient_id": "test", "split": "test"}
    more = _table([*index.to_pylist(), aside, test])
    dealt = assign_folds(more)
    assert _by_patient(dealt) == _by_patient(assign_folds(index))
    assert fold_of(more.filter(pc.is_null(more["reason"])), dealt)[-1] == TEST


def test_patients_without_a_fold_are_an_error() -> None:
    with pytest.raises(TrainingError, match="Patients of the index have no fold"):
        assert_no_leak(_index(21), assign_folds(_index(20)))


def test_fewer_patients_than_folds_are_an_error() -> None:
    for patients, folds in ((3, 5), (10, 1)):
        with pytest.raises(TrainingError, match=f"{patients} patients do not fill {folds} folds"):
            assign_folds(_index(patients), folds)


@pytest.mark.parametrize("level", ["study_uid", "series_uid"])
def test_what_two_patients_of_different_folds_share_is_a_leak(level: str) -> None:
    index = _index(20)
    dealt = assign_folds(index)
    same = pa.array(["shared"] * index.num_rows)
    with pytest.raises(Leak, match=f"1 values of {level} are in two folds"):
        assert_no_leak(index.set_column(index.schema.get_field_index(level), level, same), dealt)


def test_a_patient_in_two_folds_is_a_leak() -> None:
    index = _index(20)
    dealt = assign_folds(index)
    moved = dealt.slice(0, 1).set_column(1, "fold", pa.array([4], pa.int32()))
    with pytest.raises(Leak, match="twice"):
        assert_no_leak(index, pa.concat_tables([dealt, moved]))


def test_the_folds_of_an_index_are_written_with_what_they_were_made_of(tmp_path: Path) -> None:
    index, out = tmp_path / "index.parquet", tmp_path / "folds.parquet"
    build_index(open_archive(write_zip(tmp_path / "a.zip", files(8, 1))), index, processes=1)
    write_folds(index, out, folds=3, seed=1)
    first = out.read_bytes()
    write_folds(index, out, folds=3, seed=1)
    assert out.read_bytes() == first
    dealt = pq.read_table(out)
    assert dealt.num_rows == 8
    assert pc.sum(pc.equal(dealt["fold"], HELD_OUT)).as_py() > 0


def test_a_missing_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="`python -m training index` makes it"):
        write_folds(tmp_path / "index.parquet", tmp_path / "folds.parquet", folds=5, seed=0)
