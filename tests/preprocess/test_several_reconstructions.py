"""Several reconstructions in one series are detected; noise is not."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

from services.preprocess.header_reader import read_header
from services.preprocess.several_reconstructions import several_reconstructions
from tests.preprocess.dicom_files import ct, enhanced, functional_group, macro, written

SPACING = "pixel spacing and field of view"
SAME: dict[str, Any] = {
    "ConvolutionKernel": "H31s",
    "KVP": 120,
    "SliceThickness": 5,
    "PixelSpacing": [0.488281, 0.488281],
}


def differ(*files: bytes) -> str | None:
    found = several_reconstructions([read_header(file, len(file)) for file in files])
    return found.detail.split(":")[0].removeprefix("The slices differ in ") if found else None


def one_reconstruction(frames: int) -> Dataset:
    """An enhanced CT of one reconstruction."""
    found = enhanced(frames)
    for frame in range(frames):
        functional_group(found, frame).PixelValueTransformationSequence = macro(RescaleSlope=1, RescaleIntercept=-1024)
    return found


@pytest.mark.parametrize(
    ("changes", "attributes"),
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
        ({"RescaleIntercept": -1000}, "rescale"),
        ({"RescaleSlope": 0.97}, "rescale"),
        ({"BitsStored": 11}, "stored bits"),
        ({"KVP": 80}, "tube voltage"),
        ({"KVP": None}, None),
        ({"KVP": 0}, None),
        ({"Rows": 32, "Columns": 32}, "size and field of view"),
        ({"Rows": 32, "Columns": 32, "PixelSpacing": [0.976562, 0.976562]}, "size and pixel spacing"),
        ({"ConvolutionKernel": "H70h", "SliceThickness": 1}, "kernel and slice thickness"),
    ],
)
def test_classic_series(changes: dict[str, Any], attributes: str | None) -> None:
    assert differ(ct(**SAME), ct(**{**SAME, **changes}), ct(**SAME)) == attributes


def by_parts(*parts: tuple[float, float]) -> list[bytes]:
    """Four slices per part, from the feet to the head, by thickness and distance."""
    files: list[bytes] = []
    z_mm = 0.0
    for thickness_mm, step_mm in parts:
        for _ in range(4):
            files.append(ct(SliceThickness=thickness_mm, ImagePositionPatient=[-125, -125, z_mm]))
            z_mm += step_mm
    return files


def test_a_finer_skull_base_is_one_reconstruction() -> None:
    """As in the shared real head: 14 slices of 4 mm, 4.22 mm apart, then 14 of 7 mm, 7.38 mm apart."""
    assert differ(*by_parts((4, 4.22), (7, 7.38))) is None
    assert differ(*by_parts((4, 4.22), (7, 4.22))) == "slice thickness"
    assert differ(*by_parts((4, 4.22), (7, 7.38), (4, 4.22))) == "slice thickness"
    assert differ(*by_parts((1, 5)), *by_parts((5, 5))) == "slice thickness"


def test_noise_at_a_rounding_limit_does_not_warn() -> None:
    noisy = [[1, 0, 0, 0, cosine, 0.3122] for cosine in (0.9499, 0.9501)]
    assert differ(*(ct(ImageOrientationPatient=orientation) for orientation in noisy)) is None


@pytest.mark.parametrize(
    ("sequence", "values", "attributes"),
    [
        ("CTReconstructionSequence", [{"ConvolutionKernel": "H31s"}, {"ConvolutionKernel": "H70h"}], "kernel"),
        ("FrameContentSequence", [{"StackID": "1"}, {"StackID": "2"}], "stack"),
        ("PixelMeasuresSequence", [{"PixelSpacing": [0.4, 0.4]}, {"PixelSpacing": [0.5, 0.5]}], SPACING),
    ],
)
def test_frames_of_an_enhanced_file(sequence: str, values: list[dict[str, Any]], attributes: str) -> None:
    assert differ(written(one_reconstruction(4))) is None
    found = one_reconstruction(4)
    for frame in range(4):
        setattr(functional_group(found, frame), sequence, macro(**values[frame % 2]))
    assert differ(written(found)) == attributes


def test_frames_that_are_no_slices_do_not_count() -> None:
    found = one_reconstruction(4)
    functional_group(found, 3).CTReconstructionSequence = macro(ConvolutionKernel="H70h")
    functional_group(found, 3).CTImageFrameTypeSequence = macro(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])
    assert differ(written(found)) is None
