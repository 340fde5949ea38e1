from io import BytesIO

import numpy as np
import pydicom
import pytest

from training.phantom.dicom_files import dicom_files
from training.phantom.study import Study, draw_patient, make_study


@pytest.fixture(scope="module")
def study() -> Study:
    return make_study(draw_patient(9_200_001), [3, 4, 5])


def test_hounsfield_units_come_back(study: Study) -> None:
    for file, hu in zip(dicom_files(study, "test"), study.hu, strict=True):
        dataset = pydicom.dcmread(BytesIO(file))
        found = dataset.pixel_array * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
        np.testing.assert_array_equal(found, hu)


def test_positions_come_back_along_the_normal(study: Study) -> None:
    found = []
    for file in dicom_files(study, "test"):
        dataset = pydicom.dcmread(BytesIO(file), stop_before_pixels=True)
        row, column = np.reshape(np.array(dataset.ImageOrientationPatient, float), (2, 3))
        found.append(np.cross(row, column) @ np.array(dataset.ImagePositionPatient, float))
    np.testing.assert_allclose(found, study.position_mm, atol=1e-3)


def test_the_same_study_is_the_same_files(study: Study) -> None:
    assert dicom_files(study, "test") == dicom_files(study, "test")


def test_every_slice_has_its_own_uid_in_one_series(study: Study) -> None:
    datasets = [pydicom.dcmread(BytesIO(file), stop_before_pixels=True) for file in dicom_files(study, "test")]
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == len(datasets)
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1
    assert {str(dataset.PatientName) for dataset in datasets} == {"Phantom^Synthetic"}
