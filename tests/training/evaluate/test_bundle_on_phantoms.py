from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from services.common.labels import LABELS
from training.evaluate.bundle_on_phantoms import measure_bundle, predict_real
from training.evaluate.metrics import auc
from training.evaluate.service_inputs import make_service_input
from training.phantom.dicom_files import dicom_files
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions, StudyRequest

BUNDLE = Path("models/default")
SEED = 9_600_000
WANTED = [
    StudyRequest(SEED, 24, StudyOptions((), mimic=False)),  # more than go in one call
    StudyRequest(SEED + 1, 24, StudyOptions(("intraparenchymal",), mimic=False)),
]


def test_figures_are_those_of_the_saved_models() -> None:
    metrics = measure_bundle(BUNDLE, WANTED, {"hounsfield": WANTED})
    cnn, rnn = (tf.saved_model.load(str(BUNDLE / part / "1")).signatures["serving_default"] for part in ("cnn", "rnn"))
    scores, truth = [], []
    for sent in map(make_service_input, WANTED):
        features = tf.concat([cnn(slices=tf.constant(part))["features"] for part in np.split(sent.slices, 2)], axis=0)
        given = rnn(features=features, position_mm=tf.constant(sent.position_mm))["slice_probabilities"].numpy()
        known = sent.label_mask[:, 0]
        scores.append(given[known, 0])
        truth.append(sent.labels[known, 0])
    wanted = auc(np.concatenate(scores), np.concatenate(truth))
    assert metrics["slice"]["any"]["auc"] == pytest.approx(wanted, abs=2e-3)
    shifted = metrics["shifted"]["hounsfield"]
    assert shifted["slice_auc"] == {label: metrics["slice"][label]["auc"] for label in LABELS}
    assert shifted["any_slice_auc_lost"] == 0  # these studies have no shift, so they are their own twins
    assert shifted["any_slice_auc_lost_95_interval"] == [0, 0]
    usual, more = metrics["series"]["any"], metrics["with_twins"]
    assert more["series"] == 2 * (usual["positives"] + usual["negatives"])
    assert (more["calibration_error"], more["log_loss"]) == (usual["calibration_error"], usual["log_loss"])
    assert set(metrics["beside"]) == {"rnn, slices alone", "pixels from 50 to 100 HU", "area of the brain"}


def test_a_folder_of_files_is_asked_about_without_their_names(tmp_path: Path) -> None:
    study = make_study(draw_patient(SEED, StudyOptions((), mimic=False)), range(4, 10))
    for number, data in enumerate(dicom_files(study, "real")):
        (tmp_path / f"secret {number}.dcm").write_bytes(data)
    (said,) = predict_real(BUNDLE, tmp_path)
    assert said["slices"] == 6
    assert set(said["series"]) == set(LABELS)
    assert set(said["series_called"]) <= set(LABELS)
    assert "secret" not in str(said)
