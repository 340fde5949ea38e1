"""Refusals of values that are not Hounsfield units, and warnings where they may not be."""

from typing import Any

import pytest

from services.common.schemas import Reason
from services.preprocess.header_reader import read_header
from services.preprocess.hounsfield_reasons import hounsfield_reasons
from tests.preprocess.dicom_files import ct, dataset, enhanced, functional_group, written


def reasons(*files: bytes) -> list[Reason]:
    return hounsfield_reasons([read_header(file, len(file)) for file in files])


def codes_and_severities(**changes: Any) -> list[tuple[str, str]]:
    return [(found.code, found.severity) for found in reasons(ct(), ct(**changes))]


@pytest.mark.parametrize("rescale_type", [None, "", "HU"])
def test_hounsfield_units_give_no_reason(rescale_type: str | None) -> None:
    assert not reasons(written(dataset() if rescale_type is None else dataset(RescaleType=rescale_type)))


def test_units_of_one_slice_decide() -> None:
    assert codes_and_severities(RescaleType="US") == [("unspecified_units", "warn")]
    assert codes_and_severities(RescaleType=["HU", "OD"]) == [("not_hounsfield", "refuse")]
    assert codes_and_severities(RescaleType="HU_MOD") == [("not_hounsfield", "refuse")]
    (found,) = reasons(ct(), ct(RescaleType="MGML"))
    assert "MGML" in found.detail
    (found,) = reasons(ct(RescaleType="JOHN DOE"))
    assert "JOHN" not in found.detail


def test_dual_energy_is_detected_by_image_type() -> None:
    assert codes_and_severities(ImageType=["DERIVED", "SECONDARY", "AXIAL", "MAT_SPECIFIC"]) == [
        ("not_hounsfield", "refuse")
    ]
    assert codes_and_severities(ImageType=["DERIVED", "PRIMARY", "AXIAL", "ENERGY_PROP_WT"]) == [
        ("monoenergetic", "warn")
    ]


@pytest.mark.parametrize(
    ("slope", "intercept", "refused"),
    [(1, -1024, False), (0.5, -8192, False), (16, -1024, False), (0, -1024, True), (-1, 0, True), (1e-300, 0, True),
     (0.1, -1024, True), (1e9, 0, True), (1, 1e9, True), (1, -40000, True)],
)  # fmt: skip
def test_an_implausible_rescale_is_refused(slope: float, intercept: float, refused: bool) -> None:  # noqa: FBT001 - parametrised
    found = codes_and_severities(RescaleSlope=slope, RescaleIntercept=intercept)
    assert found == ([("implausible_rescale", "refuse")] if refused else [])


def test_functional_groups_of_any_frame_count() -> None:
    one = enhanced(3)
    functional_group(one, 2).PixelValueTransformationSequence[0].RescaleType = "PCT"
    assert [found.code for found in reasons(written(one))] == ["not_hounsfield"]
    two = enhanced(3)
    functional_group(two, 1).PixelValueTransformationSequence[0].RescaleSlope = 0
    assert [found.code for found in reasons(written(two))] == ["implausible_rescale"]
