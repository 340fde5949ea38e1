from pathlib import Path

import numpy as np
import pytest

from training.data.real_series import read_series
from training.io.errors import TrainingError
from training.phantom.dicom_files import dicom_files
from training.phantom.study import draw_patient, make_study
from training.phantom.study_options import StudyOptions


def test_a_series_comes_back_as_it_was_written(tmp_path: Path) -> None:
    study = make_study(draw_patient(9_810_000, StudyOptions((), mimic=False)), range(6, 10))
    for number, data in enumerate(dicom_files(study, "real")):
        (tmp_path / f"{9 - number}.dcm").write_bytes(data)
    (tmp_path / "notes.txt").write_text("no slice")
    series = read_series(tmp_path)
    assert series.hu.shape == (4, 512, 512)
    small, pixel_mm = series.reduced()
    assert pixel_mm == pytest.approx(study.scan.pixel_mm, rel=1e-3)
    inside = np.abs(study.hu) < 100
    assert abs((small - study.hu)[inside].mean()) < 0.5
    assert np.corrcoef(small[inside], study.hu[inside])[0, 1] > 0.75  # scaled up and down again
    np.testing.assert_allclose(np.diff(series.position_mm), np.diff(study.position_mm), rtol=1e-3)


def test_a_folder_without_slices_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no slice")
    with pytest.raises(TrainingError, match=f"{tmp_path} holds no slices"):
        read_series(tmp_path)


def test_a_slice_that_is_cut_off_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    study = make_study(draw_patient(9_810_000, StudyOptions((), mimic=False)), range(6, 9))
    for number, data in enumerate(dicom_files(study, "real")):
        (tmp_path / f"{number}.dcm").write_bytes(data[:-1000] if number == 1 else data)
    assert len(read_series(tmp_path).hu) == 2
    assert f"{tmp_path}/1.dcm is left out: truncated" in caplog.text


def test_a_picture_is_no_slice_to_measure(tmp_path: Path) -> None:
    (tmp_path / "slice.png").write_bytes(Path("samples/slice.png").read_bytes())
    with pytest.raises(TrainingError, match=rf"{tmp_path}/slice.png cannot be read: not_dicom"):
        read_series(tmp_path)
