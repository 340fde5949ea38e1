"""Averaging gives thin slices the prediction of the same head in 5 mm slices."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from services.common.card import open_bundle
from training.evaluate.served_bundle import ServedBundle
from training.phantom.study import draw_patient
from training.phantom.study_options import StudyOptions
from training.research.thin_slices import FIRST_SEED, THICK_MM, any_of, drawn, respaced

HEALTHY = 3  # of the studies in docs/explanation/thin-slices.md; as they are, its thin slices score .36 higher


def test_thin_and_thick_slices_of_one_head_get_one_answer() -> None:
    served = ServedBundle(open_bundle(Path("models/default")))
    assert any_of(served, drawn(HEALTHY, 1.25)) == pytest.approx(any_of(served, drawn(HEALTHY, THICK_MM)), abs=0.15)


def test_another_spacing_keeps_head_and_haemorrhages() -> None:
    patient = draw_patient(FIRST_SEED, StudyOptions(("subdural",)))
    thin = respaced(patient, 1.25)
    assert (thin.skull, thin.haemorrhages, thin.scanner) == (patient.skull, patient.haemorrhages, patient.scanner)
    position_mm = np.array(thin.scan.position_mm)
    np.testing.assert_allclose(np.diff(position_mm), 1.25)
    assert position_mm[0] == patient.scan.position_mm[0]
    assert thin.scan.thickness_mm == 1.25


def test_files_state_spacing_and_thickness() -> None:
    headers = [dcmread(BytesIO(data)) for data in drawn(HEALTHY, 20.0)]
    assert {float(header.SliceThickness) for header in headers} == {20.0}
    positions = sorted(float(header.ImagePositionPatient[2]) for header in headers)
    assert np.diff(positions) == pytest.approx(20.0, abs=1e-3)
    assert len({header.SeriesInstanceUID for header in headers}) == 1
