import json
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.common.card import Card, open_bundle
from services.common.labels import LABELS, Label
from tests.bundles import write_bundle, write_signed_bundle
from training.evaluate.apply_thresholds import predict_rows
from training.evaluate.bundle_on_files import LabelledSeries, PredictedSeries
from training.evaluate.calibrate import fit_operating_points
from training.evaluate.metrics import ScoredLabels, points_of
from training.io.errors import TrainingError
from training.phantom.dicom_files import dicom_files
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions
from training.runs.recalibrate import (
    Recalibration,
    recalibrate_by_files,
    recalibrate_by_phantoms,
    split_patients,
    updated_card,
    with_points,
    write_recalibrated,
)

BUNDLE = Path("models/default")
LENGTHS = [3] * 40


def _drawn() -> tuple[ScoredLabels, ScoredLabels, list[int]]:
    rng = np.random.default_rng(0)
    truth = rng.random((40, 6)) < 0.5
    whole = ScoredLabels(rng.random((40, 6)) * 0.4 + 0.5 * truth, truth, np.ones_like(truth), np.arange(40))
    each = truth.repeat(3, axis=0)
    scores = rng.random(each.shape) * 0.4 + 0.5 * each
    return ScoredLabels(scores, each, np.ones_like(each), np.arange(40).repeat(3)), whole, LENGTHS


def _metrics() -> dict[str, object]:
    point = {"sensitivity": 0.1, "specificity": 0.2}
    level = {label: {"auc": 0.9, "default": point, "sensitive": point, "specific": point} for label in LABELS}
    return {"data": "phantoms", "slice": level | {"weighted_log_loss": 0.1}, "series": level, "curves": {}}


def test_only_figures_at_operating_points_change() -> None:
    slices, series, lengths = _drawn()
    points = fit_operating_points(slices, series, lengths)
    before = _metrics()
    after = with_points(before, slices, series, lengths, points)
    assert after.keys() == before.keys()
    assert after["slice"]["any"]["auc"] == 0.9
    assert after["slice"]["weighted_log_loss"] == 0.1
    rows = {name: predict_rows(series.scores, at.series) for name, at in points.items()}
    for column, label in enumerate(LABELS):
        assert {name: after["series"][label][name] for name in points} == points_of(series, rows, column)
        assert after["series"][label]["sensitive"]["sensitivity"] >= 0.95
        assert after["series"][label]["sensitive"]["sensitivity"] >= after["series"][label]["default"]["sensitivity"]


def test_only_fields_that_depend_on_thresholds_change(tmp_path: Path) -> None:
    before = (write_bundle(tmp_path) / "card.json").read_bytes()
    points = fit_operating_points(*_drawn())
    after = updated_card(before, Recalibration(points, _metrics(), "a test"))
    assert Card.model_validate(after).thresholds == points
    old = json.loads(before)
    same = set(old) - {"created", "training", "metrics", "thresholds"}
    assert list(after) == list(old)
    assert {name: after[name] for name in same} == {name: old[name] for name in same}
    assert after["training"]["recalibrated"]["before"]["created"] == old["created"]


def test_a_bundle_of_other_data_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"not made of phantoms.*--files FOLDER --labels CSV"):
        recalibrate_by_phantoms(write_bundle(tmp_path / "bundle"), tmp_path / "bundle", tmp_path / "run")


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no readable card\.json"):
        recalibrate_by_phantoms(tmp_path, tmp_path, tmp_path / "run")


def test_both_halves_have_whole_patients() -> None:
    answered = [
        PredictedSeries(
            np.zeros((1, 6), np.float32),
            np.zeros(6, np.float32),
            LabelledSeries(((None,) * 6,), (None,) * 6, f"p{number % 7}"),
        )
        for number in range(30)
    ]
    one, other = split_patients(answered)
    assert len(one) + len(other) == 30
    assert not {each.labels.patient for each in one} & {each.labels.patient for each in other}
    assert len({each.labels.patient for each in one}) == 3


def _site(folder: Path, patients: int) -> tuple[Path, Path]:
    """Six slices of a phantom for each patient, every second one with a haemorrhage, and the table of their labels."""
    folder.mkdir()
    rows = ["file,any,patient"]
    for patient in range(patients):
        kinds: tuple[Label, ...] = ("intraparenchymal",) if patient % 2 else ()
        study = make_study(draw_patient(9_610_000 + patient, StudyOptions(kinds, mimic=False)), range(8, 14))
        for number, data in enumerate(dicom_files(study, f"{patient}")):
            (folder / f"{patient}-{number}.dcm").write_bytes(data)
            rows.append(f"{patient}-{number}.dcm,{int(study.labels[number, 0])},p{patient}")
    table = folder.with_suffix(".csv")
    table.write_text("\n".join(rows) + "\n")
    return folder, table


def test_a_site_recalibrates_with_half_of_its_patients_and_keeps_the_networks(tmp_path: Path) -> None:
    data, table = _site(tmp_path / "site", patients=2)
    card = recalibrate_by_files(BUNDLE, tmp_path / "out", data, table)
    before, after = open_bundle(BUNDLE).card, open_bundle(tmp_path / "out").card
    assert after == card
    assert after.files == before.files
    assert after.metrics["patients"] == 1
    assert after.metrics["slices"] == 6
    assert after.training["recalibrated"]["data"] == "files, site"
    assert after.thresholds["sensitive"].basis
    assert set(after.thresholds["sensitive"].basis.slice.values()) == {"too_few_cases"}


def test_a_site_with_one_patient_is_refused(tmp_path: Path) -> None:
    data, table = _site(tmp_path / "site", patients=1)
    with pytest.raises(TrainingError, match="one to calibrate, one to measure"):
        recalibrate_by_files(BUNDLE, tmp_path / "out", data, table)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("same_folder", [True, False])
def test_a_new_card_drops_the_signature_of_the_old_one(tmp_path: Path, *, same_folder: bool) -> None:
    folder = write_signed_bundle(tmp_path / "bundle", Ed25519PrivateKey.generate())
    out = folder if same_folder else tmp_path / "out"
    signature = (folder / "card.json.sig").read_bytes()
    points = fit_operating_points(*_drawn())
    write_recalibrated(open_bundle(folder), out, Recalibration(points, _metrics(), "a test"))
    assert not (out / "card.json.sig").exists()
    assert same_folder or (folder / "card.json.sig").read_bytes() == signature
    assert open_bundle(out).card.thresholds == points
