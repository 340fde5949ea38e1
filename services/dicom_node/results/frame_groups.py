"""Functional groups of multi-frame result images, whose frames lie on source frames (PS3.3 C.7.6.16)."""

from collections.abc import Iterable, Sequence
from typing import Final

from highdicom import (
    CoordinateSystemNames,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
)
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from services.dicom_node.results.source_planes import SourcePlane
from services.dicom_node.results.uids import derive_uid

_PATIENT: Final = CoordinateSystemNames.PATIENT
_PURPOSE: Final = CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)


def shared_groups(plane: SourcePlane) -> Dataset:
    """The groups of all frames of a result: orientation and pixel measures of the source."""
    group = Dataset()
    group.PlaneOrientationSequence = PlaneOrientationSequence(_PATIENT, plane.orientation)
    group.PixelMeasuresSequence = PixelMeasuresSequence(plane.spacing_mm, plane.thickness_mm)
    return group


def frame_group(plane: SourcePlane, dimension_indices: Sequence[int], derivation: Code) -> Dataset:
    """The groups of one frame: its place, and the source frame that it was derived from."""
    group, content = Dataset(), Dataset()
    content.DimensionIndexValues = list(dimension_indices)
    group.FrameContentSequence = [content]
    group.PlanePositionSequence = PlanePositionSequence(_PATIENT, plane.position_mm)
    group.DerivationImageSequence = [_derivation(plane, derivation)]
    return group


def _derivation(plane: SourcePlane, code: Code) -> Dataset:
    item = Dataset()
    item.DerivationCodeSequence, item.SourceImageSequence = [CodedConcept.from_code(code)], [source_image(plane)]
    return item


def source_image(plane: SourcePlane) -> Dataset:
    """An item of SourceImageSequence (PS3.3 C.7.6.1.1.4), with the frame of a multi-frame instance."""
    source = _reference(plane)
    if plane.source.frame is not None:
        source.ReferencedFrameNumber = plane.source.frame + 1
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = [_PURPOSE]
    return source


def set_sources(dataset: Dataset, series_instance_uid: str, planes: Sequence[SourcePlane]) -> None:
    """Refer to the source series as a whole, and lie in its frame of reference.

    A series without one gets one that derives from the series alone: all results of the series share it.
    """
    dataset.ReferencedSeriesSequence = [referenced_series(series_instance_uid, planes)]
    stated = planes[0].frame_of_reference_uid
    dataset.FrameOfReferenceUID = stated or derive_uid(series_instance_uid, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    if "SourceImageSequence" in dataset:
        del dataset.SourceImageSequence  # frames refer to their own source images


def referenced_series(series_instance_uid: str, planes: Iterable[SourcePlane]) -> Dataset:
    """An item of ReferencedSeriesSequence (PS3.3 C.12.1.1.4), each instance once."""
    item = Dataset()
    item.SeriesInstanceUID = series_instance_uid
    instances = {plane.source.sop_instance_uid: plane for plane in planes}
    item.ReferencedInstanceSequence = [_reference(plane) for plane in instances.values()]
    return item


def _reference(plane: SourcePlane) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = plane.source.sop_class_uid
    item.ReferencedSOPInstanceUID = plane.source.sop_instance_uid
    return item
