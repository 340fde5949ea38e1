"""Secondary captures of key slices, and of results in words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from services.common.schemas import Reason
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.picture_content import describe_key_slice, describe_result
from services.dicom_node.results.secondary_capture import build_secondary_captures
from services.dicom_node.results.source_planes import read_source_planes
from tests.dicom_node.results.assessments import assessment
from tests.scans import ct_slice, series


@pytest.fixture
def context(tmp_path: Path) -> ResultContext:
    blood = np.zeros((3, 32, 32, 5), np.float32)
    blood[:, 8:12, 20:24, 4] = 0.9
    files = list(series(3, PatientName="A^B").values())
    return assessment(tmp_path, files, blood=blood, present={"subdural": 0.9}, key_slices=(2, 1))


def captures(context: ResultContext) -> list[Dataset]:
    return [item.content for item in build_secondary_captures(context) if isinstance(item.content, Dataset)]


def test_each_key_slice_is_a_capture_that_refers_to_its_source(context: ResultContext) -> None:
    found = captures(context)
    assert [item.SourceImageSequence[0].ReferencedSOPInstanceUID for item in found] == ["2.25.10.3", "2.25.10.2"]
    assert [item.InstanceNumber for item in found] == [1, 2]
    assert {item.SeriesInstanceUID for item in found} != {context.header.SeriesInstanceUID}
    assert {str(item.PatientName) for item in found} == {"A^B"}


def test_a_capture_says_that_it_is_derived_and_burned_in(context: ResultContext) -> None:
    capture = captures(context)[0]
    assert (capture.ImageType[0], capture.BurnedInAnnotation, capture.BodyPartExamined) == ("DERIVED", "YES", "HEAD")
    assert capture.pixel_array.shape == (1024, 1024, 3)


def test_captures_are_the_same_bytes_each_time(context: ResultContext) -> None:
    assert [item.to_json() for item in captures(context)] == [item.to_json() for item in captures(context)]


def test_a_series_that_was_not_assessed_has_one_capture_with_the_reasons(context: ResultContext) -> None:
    reason = Reason(code="contrast_agent", detail="The series was taken with a contrast agent.", severity="refuse")
    report = context.report.model_copy(update={"status": "not_assessed", "reasons": (reason,), "key_slices": ()})
    refused = replace(context, report=report)
    (capture,) = captures(refused)
    assert "SourceImageSequence" not in capture
    assert describe_result(refused).message == (reason.detail,)


def test_a_series_without_a_slice_in_the_report_has_a_capture(context: ResultContext) -> None:
    report = context.report.model_copy(
        update={"status": "not_assessed", "slices": (), "series": None, "key_slices": ()}
    )
    assert len(captures(replace(context, report=report, slices=(), geometry=(), key_images={}))) == 1


def test_a_series_without_a_label_has_one_capture_that_does_not_exclude(context: ResultContext) -> None:
    report = context.report.model_copy(update={"key_slices": ()})
    described = describe_result(replace(context, report=report))
    assert described.title == "Assessed: no label is present"
    assert "does not exclude" in described.message[0]
    assert described.bars


def test_missing_pictures_of_key_slices_are_stated(context: ResultContext) -> None:
    assert "missing" in describe_result(replace(context, key_images={})).message[0]


def test_a_key_slice_names_its_place_and_size(context: ResultContext) -> None:
    (plane,) = read_source_planes(context, [2])
    described = describe_key_slice(replace(context, warnings=("late",)), plane, 1, 2)
    assert described.footer[0] == "Slice 3 of 3, image 3, position 10.0 mm"
    assert described.pixel_mm == pytest.approx(0.5)
    assert described.is_oriented
    assert described.warnings == ("late",)
    assert list(described.blood) == ["subdural"]


def test_without_an_orientation_no_letters_are_drawn(tmp_path: Path) -> None:
    context = assessment(tmp_path, [ct_slice(0, ImageOrientationPatient=None)], present={"any": 0.9}, key_slices=(0,))
    (plane,) = read_source_planes(context)
    assert not describe_key_slice(context, plane, 1, 1).is_oriented


def test_a_slice_with_a_turned_grid_has_the_size_of_the_picture(tmp_path: Path) -> None:
    hu = np.zeros((300, 200), np.int16)
    file = ct_slice(0, hu=hu, PixelSpacing=[0.5, 1.0], ImageOrientationPatient=[0, 1, 0, 1, 0, 0])
    context = assessment(tmp_path, [file], present={"any": 0.9}, key_slices=(0,))
    (plane,) = read_source_planes(context)
    assert describe_key_slice(context, plane, 1, 1).pixel_mm == pytest.approx(200 / 512)
