"""Segmentations, read back by highdicom."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.seg import Segmentation, segread
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage

from services.common.labels import Label
from services.dicom_node.results.blood_map import BLOOD_THRESHOLD, blood_on_source
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.omitted import Omitted
from services.dicom_node.results.segmentation import build_segmentations
from tests.dicom_node.results.assessments import assessment
from tests.scans import ct_slice, head, series

PRESENT: Mapping[Label, float] = {"intraparenchymal": 0.9, "subdural": 0.8}


def blood_map(count: int) -> NDArray[np.float32]:
    """Blood of two labels in all slices but the first."""
    blood = np.zeros((count, 32, 32, 5), np.float32)
    blood[1:, 8:12, 20:25, 1] = 0.9
    blood[1:, 10:14, 22:24, 4] = 0.8
    return blood


def written(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def built(context: ResultContext) -> list[Segmentation]:
    return [segread(io.BytesIO(written(item.content))) for item in build_segmentations(context)]  # type: ignore[arg-type]


def masks(segmentation: Segmentation, context: ResultContext) -> NDArray[Any]:
    """(n, rows, columns, segments) of all source instances."""
    uids = [source.sop_instance_uid for source in context.slices]
    found: NDArray[Any] = segmentation.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    return found


def expected(context: ResultContext, labels: Sequence[Any]) -> NDArray[Any]:
    return np.stack(
        [
            np.stack([blood_on_source(context, index, label) > BLOOD_THRESHOLD for label in labels], axis=-1)
            for index in range(len(context.slices))
        ]
    )


@pytest.mark.parametrize("shape", [(256, 256), (77, 131)], ids=str)
def test_masks_read_back_are_the_map_above_the_threshold(tmp_path: Path, shape: tuple[int, int]) -> None:
    hu = np.zeros(shape, np.int16)
    files = [ct_slice(index, hu=hu, ImageOrientationPatient=[0, 1, 0, -1, 0, 0]) for index in range(4)]
    context = assessment(tmp_path, files, blood=blood_map(4), present=PRESENT)
    (found,) = built(context)
    assert [found.get_segment_description(number).segment_label for number in (1, 2)] == [*PRESENT]
    assert found.NumberOfFrames == 6, "frames without a mask are omitted"
    np.testing.assert_array_equal(masks(found, context), expected(context, [*PRESENT]))


def test_an_assessment_always_gives_the_same_bytes(tmp_path: Path) -> None:
    context = assessment(tmp_path, list(series(2).values()), blood=blood_map(2), present=PRESENT)
    first, second = ([written(item.content) for item in build_segmentations(context)] for _ in range(2))  # type: ignore[arg-type]
    assert first == second


def test_frames_refer_to_their_source_and_lie_on_it(tmp_path: Path) -> None:
    positions = [0.0, 1.1, 8.5, 8.5]  # uneven, and one twice
    files = [ct_slice(index, ImagePositionPatient=[1, 2, z]) for index, z in enumerate(positions)]
    context = assessment(tmp_path, files, blood=blood_map(4), present={"subdural": 0.9})
    (found,) = built(context)
    frames = [
        (
            item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID,
            item.PlanePositionSequence[0].ImagePositionPatient[2],
            tuple(item.FrameContentSequence[0].DimensionIndexValues),
        )
        for item in found.PerFrameFunctionalGroupsSequence
    ]
    uids = [source.sop_instance_uid for source in context.slices]
    assert frames == [(uids[1], 1.1, (1, 1)), (uids[2], 8.5, (1, 2)), (uids[3], 8.5, (1, 3))]
    references = found.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert [item.ReferencedSOPInstanceUID for item in references] == uids[1:]


def test_slices_of_another_size_or_orientation_get_an_object_of_their_own(tmp_path: Path) -> None:
    files = [
        ct_slice(0),
        ct_slice(1),
        ct_slice(2, hu=head(256)),
        ct_slice(3, ImageOrientationPatient=[1, 0, 0, 0, 0.98, 0.2]),
    ]
    context = assessment(tmp_path, files, blood=blood_map(4), present=PRESENT)
    found = built(context)
    assert [(item.Rows, item.NumberOfFrames, item.InstanceNumber) for item in found] == [
        (512, 2, 1),
        (256, 2, 2),
        (512, 2, 3),
    ]
    assert len({item.SOPInstanceUID for item in found}) == 3
    assert len({item.SeriesInstanceUID for item in found}) == 1


def test_a_missing_thickness_becomes_the_smallest_gap(tmp_path: Path) -> None:
    positions = [0.0, 3.0, 3.0, 8.0]
    files = [ct_slice(index, ImagePositionPatient=[0, 0, z], SliceThickness=None) for index, z in enumerate(positions)]
    context = assessment(tmp_path, files, blood=blood_map(4), present={"subdural": 0.9})
    (found,) = built(context)
    assert found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == 3


def test_a_label_that_is_absent_has_no_segment(tmp_path: Path) -> None:
    context = assessment(tmp_path, list(series(2).values()), blood=blood_map(2), present={"subdural": 0.9})
    (found,) = built(context)
    assert [item.SegmentLabel for item in found.SegmentSequence] == ["subdural"]


def test_any_without_a_subtype_shows_all_blood(tmp_path: Path) -> None:
    context = assessment(tmp_path, list(series(2).values()), blood=blood_map(2), present={"any": 0.9})
    (found,) = built(context)
    assert [item.SegmentLabel for item in found.SegmentSequence] == ["any"]
    assert found.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "1386000"
    np.testing.assert_array_equal(masks(found, context), expected(context, ["any"]))


def test_a_label_below_the_threshold_has_no_segment(tmp_path: Path) -> None:
    blood = blood_map(2)
    blood[..., 1] *= 0.5
    context = assessment(tmp_path, list(series(2).values()), blood=blood, present=PRESENT)
    (found,) = built(context)
    assert [(item.SegmentNumber, item.SegmentLabel) for item in found.SegmentSequence] == [(1, "subdural")]
    assert "nowhere above 0.5: intraparenchymal" in found.ImageComments


@pytest.mark.parametrize(
    ("blood", "present", "why"),
    [
        (blood_map(2), {}, "No label is present"),
        (None, PRESENT, "no blood map"),
        (blood_map(2) / 2, PRESENT, "no present label"),
    ],
)
def test_without_any_mask_there_is_no_object(
    tmp_path: Path, blood: NDArray[np.float32] | None, present: Any, why: str
) -> None:
    context = assessment(tmp_path, list(series(2).values()), blood=blood, present=present)
    with pytest.raises(Omitted, match=why):
        build_segmentations(context)


@pytest.mark.parametrize(
    "tags",
    [
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"PixelSpacing": [0, 1]},
        {"PixelSpacing": None},
    ],
    ids=str,
)
def test_a_slice_without_a_place_is_left_out_and_counted(tmp_path: Path, tags: dict[str, Any]) -> None:
    files = [ct_slice(0), ct_slice(1), ct_slice(2, **tags)]
    context = assessment(tmp_path, files, blood=blood_map(3), present={"subdural": 0.9})
    (found,) = built(context)
    assert found.NumberOfFrames == 1
    assert "1 slice without position or mapping left out" in found.ImageComments


def test_slices_of_another_frame_of_reference_get_an_object_of_their_own(tmp_path: Path) -> None:
    files = [ct_slice(index, FrameOfReferenceUID=f"2.25.{index}") for index in range(1, 4)]
    context = assessment(tmp_path, files, blood=blood_map(3), present=PRESENT)
    assert [item.FrameOfReferenceUID for item in built(context)] == ["2.25.2", "2.25.3"]


def test_malformed_numbers_count_as_missing(tmp_path: Path) -> None:
    context = assessment(tmp_path, list(series(2).values()), blood=blood_map(2), present=PRESENT)
    malformed = context.slices[1].path.read_bytes().replace(b"-125.0\\-125.0\\5.0", b"-125.0\\oops!!\\5.0")
    assert malformed != context.slices[1].path.read_bytes()
    context.slices[1].path.write_bytes(malformed)
    with pytest.raises(Omitted):
        build_segmentations(context)


def test_slices_without_a_position_have_no_frame(tmp_path: Path) -> None:
    files = [ct_slice(index, ImagePositionPatient=None) for index in range(2)]
    context = assessment(tmp_path, files, blood=blood_map(2), present=PRESENT)
    with pytest.raises(Omitted, match="position"):
        build_segmentations(context)


def test_a_series_without_frame_of_reference_gets_one_that_depends_on_the_series_alone(tmp_path: Path) -> None:
    context = assessment(tmp_path, list(series(2).values()), blood=blood_map(2), present=PRESENT)
    assert "FrameOfReferenceUID" not in context.header
    (found,) = built(context)
    assert found.FrameOfReferenceUID.startswith("2.25.")


def test_every_slice_of_a_slab_has_the_mask_of_the_slab(tmp_path: Path) -> None:
    files = list(series(6).values())
    context = assessment(tmp_path, files, blood=blood_map(2), present=PRESENT, slabs=(0, 0, 0, 1, 1, 1))
    (found,) = built(context)
    assert masks(found, context).any(axis=(1, 2, 3)).tolist() == [False] * 3 + [True] * 3


def enhanced(count: int) -> bytes:
    """An Enhanced CT of `count` frames."""
    hu = np.stack([head(256)] * count)
    shared, groups = Dataset(), [Dataset() for _ in range(count)]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [Dataset()], [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence[0].PixelSpacing = [1, 1]
    shared.PixelMeasuresSequence[0].SliceThickness = 5
    for number, group in enumerate(groups):
        group.PlanePositionSequence = [Dataset()]
        group.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 5.0 * number]
    return ct_slice(
        0,
        hu=hu[0],
        SOPClassUID=EnhancedCTImageStorage,
        NumberOfFrames=count,
        PixelData=hu.tobytes(),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
    )


def test_frames_of_a_multi_frame_source_are_named(tmp_path: Path) -> None:
    context = assessment(tmp_path, [enhanced(3)], blood=blood_map(3), present={"subdural": 0.9})
    (found,) = built(context)
    sources = [
        item.DerivationImageSequence[0].SourceImageSequence[0] for item in found.PerFrameFunctionalGroupsSequence
    ]
    assert [item.ReferencedFrameNumber for item in sources] == [2, 3]
    assert len(found.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    read = found.get_pixels_by_source_frame(context.slices[0].sop_instance_uid, [2, 3])
    np.testing.assert_array_equal(read, expected(context, ["subdural"])[1:])


def test_a_geometry_of_another_frame_is_never_used(tmp_path: Path) -> None:
    context = assessment(tmp_path, list(series(2).values()), blood=blood_map(2), present=PRESENT)
    smaller = context.geometry[0].model_copy(update={"rows": 256})
    with pytest.raises(Omitted, match="mapping"):
        build_segmentations(replace(context, geometry=(smaller, smaller)))
