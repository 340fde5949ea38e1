from pathlib import Path

import numpy as np
from PIL import Image

from training.phantom.dicom_files import dicom_files
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions
from training.research.gallery import _compare, _patient_with, _scanners, _small, sheet


def test_a_sheet_shows_slices_side_by_side(tmp_path: Path) -> None:
    dark, bright = (np.full((256, 256), hu, np.int16) for hu in (0, 80))
    sheet(tmp_path / "sheet.jpg", [[dark, bright], [bright, dark]])
    shown = np.asarray(Image.open(tmp_path / "sheet.jpg"))
    assert shown.shape == (256, 256)
    assert shown[64, 64] < 10
    assert shown[64, 192] > 245


def test_a_series_of_dicom_files_is_compared(tmp_path: Path) -> None:
    study = make_study(draw_patient(9_800_000, StudyOptions((), mimic=False)))
    for number, data in enumerate(dicom_files(study, "real")):
        (tmp_path / f"{number}.dcm").write_bytes(data)
    (tmp_path / "out").mkdir()
    _compare(tmp_path / "out", tmp_path, phantoms=2)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"comparison.jpg", "comparison.svg"}


def test_small_haemorrhages_are_smaller_than_the_usual_ones() -> None:
    patient = next(_small("subdural"))
    usual = _patient_with(patient.seed, "subdural")
    small_volume, usual_volume = (int(make_study(each).masks.sum(dtype=np.int64)) for each in (patient, usual))
    assert 0 < small_volume < usual_volume


def test_scanners_differ_in_one_parameter() -> None:
    slices = _scanners("noise_hu")
    assert len(slices) == 8
    rough = [float(np.abs(np.diff(hu[100:150, 100:150].astype(float))).mean()) for hu in slices]
    assert rough[-1] > 1.5 * rough[0]
