"""Headers to series, independent of the upload order."""

from collections.abc import Sequence
from functools import lru_cache
from math import cos, radians, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEGLSLossless, SecondaryCaptureImageStorage

from services.common.schemas import HeadersReport, SetAsideFile, SetAsideFrames
from services.preprocess.errors import IncompleteHeader, UnreadableFile
from services.preprocess.header import DicomHeader
from services.preprocess.header_reader import read_header
from services.preprocess.series import PngEntry, group_into_series
from tests.preprocess.dicom_files import ct, encapsulated, enhanced, functional_group, macro, series, written


def header(file: bytes) -> DicomHeader:
    return read_header(file, len(file))


def grouped(files: Sequence[bytes]) -> HeadersReport:
    return group_into_series([header(file) for file in files])


def codes(report: HeadersReport, index: int = 0) -> set[str]:
    return {reason.code for reason in report.series[index].reasons} - {"resampled", "few_slices"}


@lru_cache
def mixed() -> tuple[DicomHeader, ...]:
    """Two series, one with a duplicate, ties and no positions, and a localizer."""
    tied = [ct(SOPInstanceUID=f"1.2.3.9{index}", ImagePositionPatient=[-125, -125, 10]) for index in range(3)]
    bare = series(4, series_uid="1.2.4", ImagePositionPatient=None)
    localizer = ct(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    return tuple(header(file) for file in [*series(5), *tied, *bare, localizer])


def by_content(headers: Sequence[DicomHeader], report: HeadersReport) -> list[object]:
    """A report without file numbers."""
    found: list[object] = [
        (item.uid, item.position_mm, item.reasons, [entry.sop_instance_uid for entry in item.items])
        for item in report.series
    ]
    return [*found, sorted((headers[aside.file].sop_instance_uid, aside.code) for aside in report.set_aside)]


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(13)))
def test_the_upload_order_never_matters(order: list[int]) -> None:
    headers = mixed()
    shuffled = [headers[index] for index in order]
    assert by_content(shuffled, group_into_series(shuffled)) == by_content(headers, group_into_series(headers))


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(6)), tilt=st.floats(-30, 30), step=st.floats(0.5, 10), start=st.floats(-900, 900))
def test_tilted_series_are_ordered_headwards(order: list[int], tilt: float, step: float, start: float) -> None:
    """The table moves along z; the distance between tilted slices is shorter by the cosine."""
    angle = radians(tilt)
    orientation = [round(value, 6) for value in (1, 0, 0, 0, cos(angle), -sin(angle))]
    places = [[-125, -125, round(start + index * step, 4)] for index in range(6)]
    files = [ct(ImagePositionPatient=place, ImageOrientationPatient=orientation) for place in places]
    (found,) = grouped([files[index] for index in order]).series
    assert [order[item.file] for item in found.items] == [0, 1, 2, 3, 4, 5]
    assert found.position_mm == pytest.approx([index * step * cos(angle) for index in range(6)], abs=0.002)


def test_series_scanned_from_the_head_down() -> None:
    files = series(4, step_mm=-5)
    (found,) = grouped(files).series
    assert [item.file for item in found.items] == [3, 2, 1, 0]
    assert found.position_mm == (0.0, 5.0, 10.0, 15.0)


def test_items_have_their_uids() -> None:
    (found,) = grouped(series(2)).series
    assert (found.uid, found.study_uid) == ("1.2.3", "1.2")
    assert [item.sop_instance_uid for item in found.items] == ["1.2.3.1", "1.2.3.2"]


def test_attributes_for_the_selection_of_a_series() -> None:
    files = series(2, ConvolutionKernel="H31s", SliceThickness=4, ContrastBolusAgent="IOHEXOL", ImageType=["DERIVED"])
    (found,) = grouped(files).series
    assert (found.kernel, found.thickness_mm, found.contrast, found.derived) == ("soft", 4.0, True, True)
    (plain,) = grouped(series(2)).series
    assert (plain.kernel, plain.thickness_mm, plain.contrast, plain.derived) == ("unknown", None, False, False)


def test_single_slice_is_a_series_of_one() -> None:
    (found,) = grouped([ct(ImagePositionPatient=[0, 0, 700])]).series
    assert found.position_mm == (0.0,)
    assert codes(grouped([ct()])) == set()


def test_series_of_several_studies_are_kept_apart() -> None:
    """The source program grouped by patient and interleaved the studies."""
    files = [*series(2, series_uid="1.2.9"), *series(2), *series(2, StudyInstanceUID="1.1")]
    report = grouped(files)
    assert [(item.study_uid, item.uid) for item in report.series] == [
        ("1.1", "1.2.3"),
        ("1.2", "1.2.3"),
        ("1.2", "1.2.9"),
    ]


def test_missing_positions_follow_the_instance_number() -> None:
    files = series(4, ImagePositionPatient=None, SliceThickness=2.5)
    report = grouped(files[::-1])
    assert [item.file for item in report.series[0].items] == [3, 2, 1, 0]
    assert report.series[0].position_mm == (0.0, 2.5, 5.0, 7.5)
    assert codes(report) == {"no_position"}


def test_missing_positions_and_thickness_are_five_millimetres_apart() -> None:
    report = grouped([ct(ImagePositionPatient=None, InstanceNumber=index) for index in (1, 2)])
    assert report.series[0].position_mm == (0, 5)


def test_one_missing_position_discards_all() -> None:
    report = grouped([*series(3), ct(ImagePositionPatient=None, InstanceNumber=0)])
    assert [item.file for item in report.series[0].items] == [3, 0, 1, 2]
    assert codes(report) == {"no_position"}


def test_same_file_twice() -> None:
    report = grouped([ct(), ct()])
    assert len(report.series[0].items) == 2
    assert codes(report) == {"duplicate_positions"}


def test_uneven_spacing() -> None:
    files = [ct(ImagePositionPatient=[0, 0, z], InstanceNumber=z) for z in (0, 4, 8, 15)]
    assert codes(grouped(files)) == {"uneven_spacing"}


def test_two_stacks_under_one_uid() -> None:
    """Sorted by position, two kernels would alternate."""
    stacks = [series(8, ConvolutionKernel="H31s"), series(8, ConvolutionKernel="H31s", step_mm=5)]
    assert codes(grouped([*stacks[0], *stacks[1]])) == {"several_stacks"}
    sharp = series(8, ConvolutionKernel="H70h")
    assert codes(grouped([*stacks[0], *sharp])) == {"several_stacks", "several_reconstructions", "bone_kernel"}


def test_other_files_are_set_aside() -> None:
    entries: list[DicomHeader | UnreadableFile] = [
        header(ct(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
        header(ct()),
        header(ct(SOPClassUID=SecondaryCaptureImageStorage)),
        header(ct(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])),
        UnreadableFile("dicomdir"),
        UnreadableFile("truncated"),
    ]
    report = group_into_series(entries)
    aside = [(0, "not_a_ct_slice"), (2, "not_a_ct_slice"), (3, "not_a_ct_slice"), (4, "dicomdir"), (5, "truncated")]
    assert report.set_aside == tuple(SetAsideFile(file=file, code=code) for file, code in aside)
    assert len(report.series) == 1


def test_a_corrupt_file_names_its_series_where_its_header_could_be_read() -> None:
    failure = UnreadableFile("truncated")
    failure.uids = "2.25.1", "2.25.2"
    (item,) = group_into_series([failure]).set_aside
    assert item == SetAsideFile(file=0, code="truncated", study_uid="2.25.1", uid="2.25.2")


def test_incomplete_headers_are_listed() -> None:
    assert group_into_series([header(ct()), IncompleteHeader(), PngEntry()]).incomplete == (1,)


def test_frames_of_an_enhanced_file() -> None:
    (found,) = grouped([written(enhanced(3, spacing_mm=-4))]).series
    assert [(item.file, item.frame) for item in found.items] == [(0, 2), (0, 1), (0, 0)]
    assert found.position_mm == (0, 4, 8)


CORONAL = [1, 0, 0, 0, 0, -1]


def test_frames_that_are_no_axial_slices_are_set_aside() -> None:
    found = enhanced(6)
    for frame in (0, 1):
        functional_group(found, frame).CTImageFrameTypeSequence = macro(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    functional_group(found, 4).PlaneOrientationSequence = macro(ImageOrientationPatient=CORONAL)
    report = grouped([ct(SeriesInstanceUID="1.2.9"), written(found)])
    (series, _) = report.series
    assert [(item.file, item.frame) for item in series.items] == [(1, 2), (1, 3), (1, 5)]
    assert list(series.position_mm) == [0, 5, 15]
    assert not report.set_aside
    assert report.frames_set_aside == (
        SetAsideFrames(file=1, frames=(0, 1), code="localizer"),
        SetAsideFrames(file=1, frames=(4,), code="other_plane"),
    )


def test_a_file_without_axial_frames_is_set_aside_as_a_whole() -> None:
    found = enhanced(2)
    functional_group(found, 0).CTImageFrameTypeSequence = macro(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    functional_group(found, 1).PlaneOrientationSequence = macro(ImageOrientationPatient=CORONAL)
    report = grouped([written(found)])
    assert report.set_aside == (SetAsideFile(file=0, code="not_a_ct_slice"),)
    assert not report.series
    assert not report.frames_set_aside


def test_one_axial_frame_has_its_own_position() -> None:
    found = enhanced(3)
    for frame in (0, 2):
        functional_group(found, frame).PlaneOrientationSequence = macro(ImageOrientationPatient=CORONAL)
    assert codes(grouped([written(found)])) == set()


def test_frame_types_override_the_type_of_the_file() -> None:
    found = enhanced(2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])
    assert not grouped([written(found)]).series
    functional_group(found, 0).CTImageFrameTypeSequence = macro(FrameType=["DERIVED", "PRIMARY", "AXIAL", "NONE"])
    (series,) = grouped([written(found)]).series
    assert ([item.frame for item in series.items], series.derived) == ([0], True)


def test_files_of_several_uncompressed_frames_state_their_offsets() -> None:
    file = written(enhanced(3))
    (found,) = group_into_series([read_header(file[:-9], len(file))]).series
    (stack,) = found.stacks
    assert (stack.file, stack.frame_bytes) == (0, 64 * 64 * 2)
    assert stack.pixels_at + 3 * stack.frame_bytes == len(file)
    packed = encapsulated(enhanced(2), JPEGLSLossless, [b"xx", b"xx"])
    assert group_into_series([read_header(packed, len(packed)), read_header(ct(), len(ct()))]).series[0].stacks == ()


def test_frames_without_positions_of_their_own() -> None:
    report = grouped([ct(NumberOfFrames=3, PixelData=bytes(3 * 64 * 64 * 2))])
    assert [item.frame for item in report.series[0].items] == [0, 1, 2]
    assert codes(report) == {"no_position"}


def test_png_slices_are_one_entry_in_upload_order() -> None:
    report = group_into_series([PngEntry(), header(ct()), PngEntry()])
    pictures = report.series[-1]
    assert (pictures.uid, pictures.study_uid, pictures.reasons) == (None, None, ())
    assert [item.file for item in pictures.items] == [0, 2]
    assert pictures.position_mm == (0, 0)


def test_no_files() -> None:
    assert group_into_series([]) == HeadersReport()


@pytest.mark.parametrize("located", [True, False])
@pytest.mark.parametrize("place", [None, [0, 0, 0]])
def test_a_finer_skull_base_is_one_reconstruction_without_positions(
    located: bool,  # noqa: FBT001 - parametrised
    place: list[float] | None,
) -> None:
    """4 mm slices below 7 mm slices stay one reconstruction when positions are lost."""

    def files(thickness_mm: Sequence[float]) -> list[bytes]:
        return [
            ct(
                SOPInstanceUID=f"1.2.3.{index}",
                InstanceNumber=index,
                ImagePositionPatient=place,
                SliceLocation=sum(thickness_mm[:index]) if located else None,
                SliceThickness=own_mm,
            )
            for index, own_mm in enumerate(thickness_mm)
        ]

    assert codes(grouped(files([4] * 4 + [7] * 4))) - {"uneven_spacing"} == {"no_position"}
    assert "several_reconstructions" in codes(grouped(files([4, 7] * 4)))
