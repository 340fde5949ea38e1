"""Substitutes of ImagePositionPatient where it does not order the slices."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.common.acceptance import is_refused
from services.common.schemas import SeriesHeader
from services.preprocess.header_reader import read_header
from services.preprocess.series import group_into_series
from tests.preprocess.dicom_files import ct, dataset, series, written


def series_of(files: Sequence[bytes]) -> SeriesHeader:
    (found,) = group_into_series([read_header(file, len(file)) for file in files]).series
    return found


def detail(found: SeriesHeader, code: str) -> str:
    return next((item.detail for item in found.reasons if item.code == code), "")


def stack(frames: int, **changes: Any) -> bytes:
    """A file of several frames without functional groups."""
    return written(dataset(NumberOfFrames=frames, PixelData=dataset().PixelData * frames, **changes))


def numbered(numbers: Sequence[int | None], **changes: Any) -> list[bytes]:
    """Slices at one position whose UIDs descend along the list."""
    same = {"ImagePositionPatient": [0, 0, 0], **changes}
    return [ct(InstanceNumber=n, SOPInstanceUID=f"1.2.3.{99 - i}", **same) for i, n in enumerate(numbers)]


def test_positions_that_differ_within_the_plane_only_are_the_same() -> None:
    files = [ct(ImagePositionPatient=[x, -x, 0], InstanceNumber=x, SOPInstanceUID=f"1.2.{x}") for x in (1, 2, 3)]
    assert "is the same in all slices" in detail(series_of(files), "no_position")


def test_slices_at_one_position_with_different_locations() -> None:
    places = [0, 0, 0, 15, 20, 25]
    files = [
        ct(
            ImagePositionPatient=[-125, -125, place],
            SliceLocation=5 * x,
            InstanceNumber=x,
            SOPInstanceUID=f"1.2.{9 - x}",
        )
        for x, place in enumerate(places)
    ]
    found = series_of(files)
    assert [item.file for item in found.items] == list(range(6))
    assert list(found.position_mm) == [0, 5, 10, 15, 20, 25]
    assert "different SliceLocation (2 of 6)" in detail(found, "no_position")


def test_two_acquisitions_at_the_same_positions_keep_them() -> None:
    files = [
        ct(ImagePositionPatient=[0, 0, z], SliceLocation=z, InstanceNumber=n * 10 + z, SOPInstanceUID=f"1.2.{n}.{z}")
        for n in (1, 2)
        for z in (0, 5, 10)
    ]
    codes = {item.code for item in series_of(files).reasons}
    assert "several_stacks" in codes
    assert "no_position" not in codes


def test_positions_that_differ_by_rounding_only_are_the_same() -> None:
    files = [ct(ImagePositionPatient=[0, 0, x / 1e4], InstanceNumber=x, SOPInstanceUID=f"1.2.{x}") for x in (1, 2, 3)]
    assert "no_position" in {item.code for item in series_of(files).reasons}


@pytest.mark.parametrize(
    ("changes", "step_mm", "source"),
    [({"SpacingBetweenSlices": -3, "SliceThickness": 5}, 3, "SpacingBetweenSlices"),
     ({"SpacingBetweenSlices": 0, "SliceThickness": 2.5}, 2.5, "SliceThickness"), ({}, 5, "assumed")],
)  # fmt: skip
def test_instance_numbers_times_spacing(changes: dict[str, float], step_mm: float, source: str) -> None:
    found = series_of(numbered([3, 1, 2], **changes))
    assert [item.file for item in found.items] == [1, 2, 0]
    assert list(found.position_mm) == [0, step_mm, 2 * step_mm]
    assert f"InstanceNumber times {step_mm:g} mm ({source})" in detail(found, "no_position")


def test_a_missing_instance_number_leaves_a_gap() -> None:
    found = series_of(numbered([1, 2, 5, 6]))
    assert list(found.position_mm) == [0, 5, 20, 25]
    assert "15.0 mm" in detail(found, "wide_gap")


@pytest.mark.parametrize("numbers", [[None, None, None], [1, None, 2], [1, 1, 2], [1, 1, 1]])
def test_without_an_order_a_series_is_refused(numbers: list[int | None]) -> None:
    for place in ([0, 0, 0], None):
        found = series_of(numbered(numbers, ImagePositionPatient=place))
        assert is_refused(found.reasons)
        assert "neither SliceLocation nor InstanceNumber orders the slices" in detail(found, "no_order")
        assert list(found.position_mm) == [0, 0, 0]


def test_a_single_slice_needs_no_position() -> None:
    (file,) = numbered([None], ImagePositionPatient=None, Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))
    found = series_of([file])
    assert list(found.position_mm) == [0]
    assert found.reasons == ()


def test_copies_of_one_slice_share_their_position() -> None:
    found = series_of([ct(), ct()])
    assert {item.code for item in found.reasons} == {"duplicate_positions", "few_slices", "resampled"}
    nameless = [ct(SOPInstanceUID=None, ImagePositionPatient=None)] * 2
    assert is_refused(series_of(nameless).reasons)


def test_frames_of_one_file_follow_each_other() -> None:
    found = series_of([stack(3, SliceThickness=2, InstanceNumber=None)])
    assert [item.frame for item in found.items] == [0, 1, 2]
    assert list(found.position_mm) == [0, 2, 4]
    assert "the frame number times 2 mm (SliceThickness)" in detail(found, "no_position")


def test_several_files_of_frames_need_instance_numbers() -> None:
    second = stack(2, SOPInstanceUID="1.2.3.0", InstanceNumber=2)
    found = series_of([second, stack(2, SOPInstanceUID="1.2.3.9", InstanceNumber=1)])
    assert [(item.file, item.frame) for item in found.items] == [(1, 0), (1, 1), (0, 0), (0, 1)]
    assert list(found.position_mm) == [0, 5, 10, 15]
    assert is_refused(series_of([second, stack(2, SOPInstanceUID="1.2.3.9", InstanceNumber=2)]).reasons)


def test_valid_positions_override_other_tags() -> None:
    found = series_of(series(4, SliceLocation=3))
    assert list(found.position_mm) == [0, 5, 10, 15]
    assert "no_position" not in {item.code for item in found.reasons}


def test_a_slice_without_orientation_does_not_turn_the_normal_of_the_others() -> None:
    tilted = [1, 0, 0, 0, 0.8, -0.6]
    changes: list[dict[str, Any]] = [{"ImageOrientationPatient": None}, *[{"ImageOrientationPatient": tilted}] * 3]
    files = [
        ct(ImagePositionPatient=[0, 0, 5 * i], SOPInstanceUID=f"1.2.3.{i}", InstanceNumber=i, **change)
        for i, change in enumerate(changes)
    ]
    assert series_of(files).position_mm == (0, 4, 8, 12)
