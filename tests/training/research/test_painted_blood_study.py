from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.common.labels import SUBTYPES
from training.evaluate.bundle_on_phantoms import predict_real
from training.io.errors import TrainingError
from training.phantom.dicom_files import dicom_files
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions
from training.research.painted_blood_study import measure_painted
from training.research.scanner_variants import SCANNER_VARIANTS, unchanged

BUNDLE = Path("models/default")
TWO = {
    name: SCANNER_VARIANTS[name] for name in ("slope 1.1", "smoother")
}  # test_scanner_variants.py tests every change


def _written(folder: Path, heights_mm: tuple[float, float], *, dry: bool = False) -> Path:
    patient = draw_patient(9_830_000, StudyOptions((), mimic=False))
    places = np.array(patient.scan.position_mm)
    chosen = np.flatnonzero((places > heights_mm[0]) & (places < heights_mm[1]))
    folder.mkdir()
    study = make_study(patient, [int(index) for index in chosen])
    if dry:
        study = replace(study, hu=np.where((study.hu > -50) & (study.hu < 30), 30, study.hu).astype(np.int16))
    for number, data in enumerate(dicom_files(study, "secret")):
        (folder / f"secret {number}.dcm").write_bytes(data)
    return folder


def test_a_bundle_is_asked_with_and_without_blood(tmp_path: Path) -> None:
    series = _written(tmp_path / "series", (0, 40))
    found = measure_painted(BUNDLE, series, tmp_path / "out", each=2, variants=TWO)
    (said,) = predict_real(BUNDLE, series)
    assert found["without"]["median_any"] == pytest.approx(said["median_any"], abs=1e-3)
    assert found["without"]["series_any"] == pytest.approx(said["series"]["any"], abs=1e-3)
    assert set(found["scanner_variants"]) == set(TWO)
    assert any(other["median_any"] != found["without"]["median_any"] for other in found["scanner_variants"].values())
    assert found["with"]["any_auc"] == pytest.approx(
        np.mean([figures["any_auc"] for figures in found["kinds"].values()]), abs=1e-4
    )
    for other in found["scanner_variants"].values():
        assert all(0 <= other[name] <= 1 for name in found["with"])
    assert set(found["kinds"]) == set(SUBTYPES)
    for figures in found["kinds"].values():
        assert figures["series"] == 2
        assert figures["slices"] >= 2
        assert 0 <= figures["any_auc"] <= 1
    # What lies in a phantom that is not what the networks know best is still found mostly.
    assert np.mean([figures["any_auc"] for figures in found["kinds"].values()]) > 0.6
    assert set(found["small"]["scanner_variants"]) == set(TWO)
    for kind, figures in found["small"]["kinds"].items():
        assert figures["series"] == 2
        assert figures["slices"] < found["kinds"][kind]["slices"]
    with Image.open(tmp_path / "out" / "implanted.jpg") as shown:
        assert shown.size == (128 * 8, 128 * 2 * len(SUBTYPES))
    assert "secret" not in str(found)


def test_a_series_without_brain_is_refused(tmp_path: Path) -> None:
    series = _written(tmp_path / "series", (72, 200))
    with pytest.raises(TrainingError, match="too little brain"):
        measure_painted(BUNDLE, series, tmp_path / "out", each=1)


def test_a_scanner_that_changes_nothing_is_answered_alike(tmp_path: Path) -> None:
    series = _written(tmp_path / "series", (10, 30))
    found = measure_painted(BUNDLE, series, tmp_path / "out", each=1, variants={"the same": unchanged})
    assert found["scanner_variants"]["the same"] == found["without"] | found["with"]


def test_a_kind_that_a_head_has_no_place_for_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    series = _written(tmp_path / "series", (10, 30), dry=True)
    found = measure_painted(BUNDLE, series, tmp_path / "out", each=1, variants={})
    assert set(found["kinds"]) == {"epidural", "intraparenchymal", "subdural"}
    assert "subarachnoid: this head has no place for it" in caplog.text
