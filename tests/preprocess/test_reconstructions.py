"""Slices of several reconstructions under one series, and the noise that is none."""

from typing import Any

import pytest

from services.preprocess.header import read_header
from services.preprocess.reconstructions import differing
from tests.preprocess.dicom_files import ct, enhanced, functional_group, macro, written

SPACING = "pixel spacing and field of view"
SAME: dict[str, Any] = {"ConvolutionKernel": "H31s", "SliceThickness": 5, "PixelSpacing": [0.488281, 0.488281]}


def differ(*files: bytes) -> str | None:
    found = differing([read_header(file, len(file)) for file in files])
    return found.detail.split(":")[0].removeprefix("The slices differ in ") if found else None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, None),
        ({"PixelSpacing": [0.48828, 0.4883]}, None),
        ({"SliceThickness": 4.98}, None),
        ({"SliceThickness": None}, None),
        ({"ImageOrientationPatient": [0.9999, 0.001, 0, -0.001, 0.9999, 0.004]}, None),
        ({"ConvolutionKernel": "H70h"}, "kernel"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.9, -0.44]}, "orientation"),
        ({"PixelSpacing": [0.4, 0.4]}, SPACING),
        ({"SliceThickness": 2.5}, "slice thickness"),
        ({"Rows": 32, "Columns": 32}, "size and field of view"),
        ({"Rows": 32, "Columns": 32, "PixelSpacing": [0.976562, 0.976562]}, "size and pixel spacing"),
        ({"ConvolutionKernel": "H70h", "SliceThickness": 1}, "kernel and slice thickness"),
    ],
)
def test_classic_series(changes: dict[str, Any], what: str | None) -> None:
    assert differ(ct(**SAME), ct(**{**SAME, **changes}), ct(**SAME)) == what


def test_noise_at_a_border_of_rounding_does_not_warn() -> None:
    noisy = [[1, 0, 0, 0, cosine, 0.3122] for cosine in (0.9499, 0.9501)]
    assert differ(*(ct(ImageOrientationPatient=orientation) for orientation in noisy)) is None


@pytest.mark.parametrize(
    ("sequence", "values", "what"),
    [
        ("CTReconstructionSequence", [{"ConvolutionKernel": "H31s"}, {"ConvolutionKernel": "H70h"}], "kernel"),
        ("FrameContentSequence", [{"StackID": "1"}, {"StackID": "2"}], "stack"),
        ("PixelMeasuresSequence", [{"PixelSpacing": [0.4, 0.4]}, {"PixelSpacing": [0.5, 0.5]}], SPACING),
    ],
)
def test_frames_of_an_enhanced_file(sequence: str, values: list[dict[str, Any]], what: str) -> None:
    assert differ(written(enhanced(4))) is None
    found = enhanced(4)
    for frame in range(4):
        setattr(functional_group(found, frame), sequence, macro(**values[frame % 2]))
    assert differ(written(found)) == what


def test_frames_that_are_no_slices_do_not_count() -> None:
    found = enhanced(4)
    functional_group(found, 3).CTReconstructionSequence = macro(ConvolutionKernel="H70h")
    functional_group(found, 3).CTImageFrameTypeSequence = macro(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])
    assert differ(written(found)) is None
