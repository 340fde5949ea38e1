"""Refusals, warnings and notes from headers."""

from typing import Any

import pytest

from services.common.acceptance import is_refused
from services.common.schemas import Reason
from services.preprocess.header import DicomHeader
from services.preprocess.header_reader import read_header
from services.preprocess.header_reasons import header_reasons, position_reasons
from tests.preprocess.dicom_files import ct, dataset, enhanced, functional_group, macro, written


def header(**changes: Any) -> DicomHeader:
    file = ct(**changes)
    return read_header(file, len(file))


def codes(reasons: list[Reason]) -> list[str]:
    return [item.code for item in reasons]


def test_other_body_part_is_refused() -> None:
    reasons = header_reasons([header(BodyPartExamined="CHEST"), header(BodyPartExamined="CHEST")])
    assert codes(reasons) == ["other_body_part", "few_slices"]
    assert is_refused(reasons)
    assert "CHEST" in reasons[0].detail


def test_only_the_known_word_of_a_body_part_is_reported() -> None:
    (found, *_) = header_reasons([header(BodyPartExamined="CHEST JOHN DOE")])
    assert found.detail == "BodyPartExamined says CHEST in 1 of 1 slices, not head."


@pytest.mark.parametrize(
    ("parts", "code", "words"),
    [
        ({"CHEST": 27, "HEAD": 1}, "other_body_part", "CHEST in 27 of 28"),
        ({"CHEST": 2, "FOOT": 1, "": 2}, "other_body_part", "CHEST and FOOT in 3 of 5"),
        ({"FOOT": 1, "HEAD": 1}, "mixed_body_parts", "FOOT in 1 of 2"),
        ({"NECK": 1, "": 1}, "mixed_body_parts", "NECK in 1 of 2"),
        ({"HEAD": 27, "KNEE": 1}, "mixed_body_parts", "KNEE in 1 of 28"),
        ({"HEAD": 3, "HEADNECK": 2, "": 1}, None, ""),
    ],
)
def test_the_values_of_all_files_count(parts: dict[str, int], code: str | None, words: str) -> None:
    headers = [found for part, count in parts.items() for found in [header(BodyPartExamined=part)] * count]
    found_reasons = [item for item in header_reasons(headers) if "body_part" in item.code]
    assert codes(found_reasons) == ([code] if code else [])
    assert all(words in item.detail for item in found_reasons)
    assert is_refused(found_reasons) == (code == "other_body_part")


def test_frames_count_each() -> None:
    file = written(enhanced(4, BodyPartExamined="CHEST"))
    many = read_header(file, len(file))
    assert is_refused(header_reasons([many, *[header(BodyPartExamined="HEAD")] * 3]))
    assert not is_refused(header_reasons([many, *[header(BodyPartExamined="HEAD")] * 4]))


@pytest.mark.parametrize(
    ("kvp", "warned"), [(None, False), (0, False), (100, False), (140, False), (80, True), (150, True)]
)
def test_kvp(kvp: float | None, warned: bool) -> None:  # noqa: FBT001 - parametrised
    found = header() if kvp is None else header(KVP=kvp)
    assert ("unusual_kvp" in codes(header_reasons([found]))) == warned


def test_contrast_warns() -> None:
    named = header(ContrastBolusAgent="OMNIPAQUE", SeriesDescription="DOE^JANE_CTA")
    (found,) = (item for item in header_reasons([header(), named]) if item.code == "contrast")
    assert "ContrastBolusAgent and SeriesDescription" in found.detail
    assert "OMNIPAQUE" not in found.detail
    assert "DOE" not in found.detail


@pytest.mark.parametrize(
    ("description", "warned"), [("CTA HEAD", True), ("Angio", True), ("CTP", True), ("HEAD PLAIN", False), ("", False)]
)
def test_angiography_warns(description: str, warned: bool) -> None:  # noqa: FBT001 - parametrised
    assert ("contrast" in codes(header_reasons([header(SeriesDescription=description)]))) == warned


def test_bone_kernel_warns() -> None:
    (found, *_) = header_reasons([header(ConvolutionKernel=["H70h", "3"])])
    assert (found.code, found.severity) == ("bone_kernel", "warn")
    assert "H70H" in found.detail
    assert "bone_kernel" not in codes(header_reasons([header(ConvolutionKernel="H31s")]))


def test_several_reconstructions_warn() -> None:
    tilted = [1, 0, 0, 0, 0.9, -0.44]
    reasons = header_reasons([header(), header(ConvolutionKernel="FC21", ImageOrientationPatient=tilted)])
    assert "several_reconstructions" in codes(reasons)
    assert "kernel and orientation" in reasons[0].detail


def test_slices_of_several_patients_are_refused() -> None:
    reasons = header_reasons([header(PatientID="CANARY1"), header(PatientID="CANARY2"), header()])
    assert "several_patients" in codes(reasons)
    assert is_refused(reasons)
    assert "CANARY" not in str(reasons)
    same = [header(PatientID="CANARY1"), header(PatientID="CANARY1 "), header(PatientID=""), header()]
    assert not is_refused(header_reasons(same))
    assert "CANARY" not in str(same)


@pytest.mark.parametrize(("slices", "noted"), [(1, False), (2, True), (7, True), (8, False)])
def test_few_slices_are_noted(slices: int, noted: bool) -> None:  # noqa: FBT001 - parametrised
    assert ("few_slices" in codes(header_reasons([header()] * slices))) == noted


def test_faulty_intercept_is_noted() -> None:
    assert "intercept_repaired" in codes(header_reasons([header(RescaleIntercept=0)]))
    assert "intercept_repaired" not in codes(header_reasons([header()]))


def test_missing_rescale_warns() -> None:
    assert "no_rescale" in codes(header_reasons([header(), header(RescaleSlope=None, RescaleIntercept=None)]))
    for either in ("RescaleSlope", "RescaleIntercept"):
        assert "no_rescale" in codes(header_reasons([header(), header(**{either: None})]))


def test_rescale_of_frames_counts() -> None:
    file, bare = written(enhanced(2)), written(dataset(RescaleSlope=None, RescaleIntercept=None))
    assert "no_rescale" not in codes(header_reasons([read_header(file, len(file))]))
    assert "no_rescale" in codes(header_reasons([read_header(bare, len(bare))]))


def test_reasons_of_any_frame_count() -> None:
    """Frames that are no axial slices do not count."""
    found = enhanced(3)
    functional_group(found, 1).CTReconstructionSequence = macro(ConvolutionKernel="H70h")
    functional_group(found, 1).CTXRayDetailsSequence = macro(KVP=80)
    functional_group(found, 2).PixelValueTransformationSequence = macro(RescaleSlope=1, RescaleIntercept=0)
    file = written(found)
    wanted = {"bone_kernel", "unusual_kvp", "intercept_repaired", "several_reconstructions"}
    assert wanted <= set(codes(header_reasons([read_header(file, len(file))])))
    for frame in (1, 2):
        functional_group(found, frame).PlaneOrientationSequence = macro(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    file = written(found)
    assert not wanted & set(codes(header_reasons([read_header(file, len(file))])))


def test_evenly_spaced_positions_give_no_reason() -> None:
    assert position_reasons([0.0]) == []
    assert position_reasons([0, 5.0, 10.02, 15.0, 19.99]) == []
    assert position_reasons([0, 0.6, 1.2, 1.8]) == []


def test_gaps_warn_and_never_refuse() -> None:
    reasons = position_reasons([0, 5, 10, 20, 25])
    assert codes(reasons) == ["uneven_spacing"]
    assert "5.00 to 10.00" in reasons[0].detail
    assert not is_refused(reasons)


def test_wide_gaps_state_their_size_and_never_refuse() -> None:
    reasons = position_reasons([0, 5, 10, 23.5, 28.5])
    assert codes(reasons) == ["wide_gap", "uneven_spacing"]
    assert "13.5 mm" in reasons[0].detail
    assert not is_refused(reasons)
    assert "wide_gap" not in codes(position_reasons([0, 5, 10, 22, 27]))


def test_stacks_over_the_same_positions_warn() -> None:
    assert codes(position_reasons([0, 0, 5, 5, 10, 10])) == ["several_stacks"]
    assert codes(position_reasons([0, 0, 0, 5, 5, 5, 10, 10, 10])) == ["several_stacks"]
    assert codes(position_reasons([0, 0, 5, 10, 15])) == ["duplicate_positions"]


def test_duplicates_warn() -> None:
    reasons = position_reasons([0, 0, 5, 10, 10, 10, 15])
    assert codes(reasons) == ["duplicate_positions"]
    assert reasons[0].detail.startswith("5 slices")
