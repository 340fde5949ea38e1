"""A site's own data: any subset of the labels gives figures, and copies of files count once."""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from services.common.addenda import Addendum
from services.common.card import open_bundle
from services.common.labels import LABELS, Label
from services.common.operating_points import Thresholds
from training.cli.app import main
from training.evaluate.bundle_on_files import LabelledSeries, PredictedSeries, measure_site, predict_site, site_metrics
from training.evaluate.labelled_files import Row, any_of
from training.io.errors import TrainingError
from training.phantom.dicom_files import dicom_files
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions

BUNDLE = Path("models/default")
SEED = 9_610_000
ALL = dict.fromkeys(LABELS, 0.5)
POINTS = {"default": Thresholds(slice=ALL, series=ALL)}
SUBSETS = [labels for count in range(1, len(LABELS) + 1) for labels in combinations(LABELS, count)]


def predicted(labels: Sequence[str], number: int) -> PredictedSeries:
    """Return eight slices whose rows know some labels; slices of odd series hold blood."""
    rng = np.random.default_rng(number)
    rows: list[Row] = [
        tuple(bool(number % 2 and index > 4) if label in labels else None for label in LABELS) for index in range(8)
    ]
    scores = rng.random((8, 6)).astype(np.float32)
    whole = tuple(map(any_of, zip(*rows, strict=True)))
    return PredictedSeries(scores, scores.max(axis=0), LabelledSeries(tuple(rows), whole, f"{number}"))


@pytest.mark.parametrize("labels", [*SUBSETS[::7], LABELS])
def test_any_subset_of_the_labels_gives_figures(labels: Sequence[str]) -> None:
    found = site_metrics([predicted(labels, number) for number in range(3)], POINTS)  # type: ignore[arg-type] # one point
    unknown = [label for label in LABELS if label not in labels]
    assert found["labels_without_rows"] == {"slice": unknown, "series": unknown}
    for level in ("slice", "series"):
        assert [label for label in LABELS if found[level][label]["auc"] is None] == unknown
    json.dumps(found, allow_nan=False)


def _site(folder: Path) -> Path:
    """Two patients' series of phantoms, a copy of one file, and a file without a slice; labels for one series."""
    folder.mkdir()
    for patient in range(2):
        kinds: tuple[Label, ...] = ("intraparenchymal",) if patient else ()
        study = make_study(draw_patient(SEED + patient, StudyOptions(kinds, mimic=False)), range(8, 14))
        for number, data in enumerate(dicom_files(study, f"{patient}")):
            (folder / f"{patient}-{number}.dcm").write_bytes(data)
    (folder / "copy.dcm").write_bytes((folder / "0-0.dcm").read_bytes())
    (folder / "notes.txt").write_bytes(b"not DICOM")
    return folder


def _table(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join(["file,any,patient", *rows]) + "\n")
    return path


def test_a_site_is_measured_as_the_services_assess_it(tmp_path: Path) -> None:
    data = _site(tmp_path / "site")
    rows = [f"{patient}-{number}.dcm,{patient},p{patient}" for patient in range(2) for number in range(6)]
    measured = measure_site(open_bundle(BUNDLE), data, _table(tmp_path / "labels.csv", rows))
    assert measured.phantoms == 2
    metrics = measured.card.metrics
    assert metrics["data"] == "a site's own, site"
    assert metrics["left_out"] == {"files that are copies": 1, "files set aside": 1, "slices without labels": 0}
    assert (metrics["studies"], metrics["slices"], metrics["patients"]) == (2, 12, 2)
    assert metrics["slice"]["any"]["positives"] == 6
    assert metrics["labels_without_rows"]["slice"] == list(LABELS[1:])
    assert measured.card.thresholds == open_bundle(BUNDLE).card.thresholds


def test_files_of_patients_give_an_addendum_and_phantoms_none(tmp_path: Path) -> None:
    data = _site(tmp_path / "site")
    rows = [f"{patient}-{number}.dcm,{patient},p{patient}" for patient in range(2) for number in range(6)]
    table, out = _table(tmp_path / "labels.csv", rows), tmp_path / "out"
    command = ["evaluate", "--files", str(data), "--labels", str(table), "--out", str(out)]
    main(command)
    assert not (out / "addendum.json").exists()
    (data / "copy.dcm").unlink()
    for path in data.glob("*.dcm"):
        dataset = dcmread(path)
        dataset.SeriesDescription = "Head native"
        dataset.save_as(path)
    main(command)
    found = Addendum.model_validate_json((out / "addendum.json").read_bytes())
    assert (found.patients, found.series, found.slices) == (2, 2, 12)
    assert found.card_sha256 == open_bundle(BUNDLE).card_sha256
    any_of_series = found.figures.series["any"]
    assert (any_of_series.positives, any_of_series.negatives) == (1, 1)


def test_series_and_slices_without_labels_are_counted(tmp_path: Path) -> None:
    table = _table(tmp_path / "labels.csv", ["1-0,1,p"])  # a name without its suffix
    predicted, left_out = predict_site(open_bundle(BUNDLE), _site(tmp_path / "site"), table)
    assert [each.labels.patient for each in predicted] == ["p"]
    assert left_out["without labels"] == 1
    assert left_out["slices without labels"] == 5


def test_a_table_of_other_files_is_refused_without_their_names(tmp_path: Path) -> None:
    table = _table(tmp_path / "labels.csv", ["secret.dcm,1,p"])
    with pytest.raises(TrainingError, match="None of its 1 rows was found by its column file") as refused:
        measure_site(open_bundle(BUNDLE), _site(tmp_path / "site"), table)
    assert "secret" not in str(refused.value)
    assert "0-0.dcm" not in str(refused.value)


def test_labels_of_a_series_hold_for_its_slices_only_where_absent(tmp_path: Path) -> None:
    data = _site(tmp_path / "site")
    uid = dcmread(data / "1-0.dcm").SeriesInstanceUID
    table = tmp_path / "labels.csv"
    table.write_text(f"series_instance_uid,any,subdural\n{uid},1,0\n")
    (one,), _ = predict_site(open_bundle(BUNDLE), data, table)
    assert one.labels.whole == (True, None, None, None, None, False)
    assert set(one.labels.rows) == {(None, None, None, None, None, False)}
