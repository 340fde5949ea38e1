"""A bundle's predictions for the same heads in thin and in thick slices.

`python -m training thin-slices` prints the probability of `any` by series: of slices at 5 mm, of thin slices, and of
slabs averaged from them.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from services.common.card import open_bundle
from services.common.labels import SUBTYPES
from training.evaluate.labelled_files import File
from training.evaluate.served_bundle import ServedBundle
from training.io.errors import TrainingError
from training.phantom.dicom_files import dicom_files
from training.phantom.study import Patient, draw_patient, make_study
from training.phantom.study_options import StudyOptions

FIRST_SEED: Final = 8_700_000
THICK_MM: Final = 5.0
_HEALTHY: Final = 3  # one study in three; the others have one of the subtypes in turn


def drawn(number: int, spacing_mm: float) -> list[bytes]:
    """The DICOM files of a study with slice thickness equal to spacing, from the same lowest position."""
    options = StudyOptions(() if number % _HEALTHY == 0 else (SUBTYPES[number % len(SUBTYPES)],))
    patient = respaced(draw_patient(FIRST_SEED + number, options), spacing_mm)
    return dicom_files(make_study(patient), f"{number} at {spacing_mm}")


def respaced(patient: Patient, spacing_mm: float) -> Patient:
    """The same head, haemorrhages and scanner with another slice spacing."""
    low, high = patient.scan.position_mm[0], patient.scan.position_mm[-1]
    position_mm = tuple(float(at) for at in np.arange(low, high, spacing_mm))
    return replace(patient, scan=replace(patient.scan, thickness_mm=spacing_mm, position_mm=position_mm))


def any_of(served: ServedBundle, files: Sequence[bytes], *, average: bool = True) -> float:
    """The probability of `any` in the one series of these files."""
    found = served.read_series([File.of_bytes("", data) for data in files])
    (header,) = found.headers.series
    prediction = served.predict_series(found.files, header, average=average, refuse=False)
    if prediction is None:
        raise TrainingError("A slice of the phantom could not be decoded.")
    return float(prediction[1][0])


def compare(bundle: Path, studies: int, spacing_mm: float) -> None:
    """Print the probability of `any` of every phantom in thick slices, in thin slices, and in thin slices averaged."""
    served, differences = ServedBundle(open_bundle(bundle)), []
    sys.stdout.write(f"study  {THICK_MM:g} mm  {spacing_mm:g} mm  averaged\n")
    for number in range(studies):
        thin = drawn(number, spacing_mm)
        thick = any_of(served, drawn(number, THICK_MM))
        single, averaged = any_of(served, thin, average=False), any_of(served, thin)
        differences.append((abs(single - thick), abs(averaged - thick)))
        sys.stdout.write(f"{number:5d}  {thick:.3f}  {single:.3f}  {averaged:.3f}\n")
    single, averaged = np.max(differences, axis=0)
    sys.stdout.write(f"largest difference from {THICK_MM:g} mm: {single:.3f} thin, {averaged:.3f} averaged\n")
