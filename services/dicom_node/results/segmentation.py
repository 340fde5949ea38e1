"""Segmentation BINARY: where the blood map exceeds a threshold, one segment a label, on the source grid (PS3.3 A.51).

The mask of a label is the blood map, interpolated at each stored pixel, above `BLOOD_THRESHOLD`. A label that the
report says is present, but whose map never exceeds the threshold, has no segment; ImageComments says so.
highdicom makes the object for a frame of one byte; frames are then packed one by one, so that memory holds packed
bits only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from services.common.labels import Label
from services.dicom_node.results.algorithm import algorithm_identification
from services.dicom_node.results.bit_packing import BitPacker
from services.dicom_node.results.blood_map import (
    BLOOD_THRESHOLD,
    blood_cells,
    blood_on_source,
    mapped_slices,
    shown_labels,
)
from services.dicom_node.results.codes import FINDINGS
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.frame_groups import frame_group, set_sources, shared_groups
from services.dicom_node.results.image_modules import constructor_arguments, finish_image, placeholder_source
from services.dicom_node.results.label_colours import LABEL_COLOURS
from services.dicom_node.results.omitted import Omitted, TooLarge
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.source_planes import SourcePlane
from services.dicom_node.results.uids import derive_uid

_DERIVATION: Final = Code("113076", "DCM", "Segmentation")
MOST_BYTES: Final = 256 << 20  # of the packed pixels of an assessment: 1,600 slices of 512 x 512 with five labels


@dataclass(slots=True)
class _Masks:
    """The non-empty masks of one grid: planes by label, and their packed bits in the same order."""

    planes: dict[Label, list[SourcePlane]]
    pixels: bytes


def build_segmentations(context: ResultContext) -> Sequence[ResultObject]:
    """One object for each grid of the series; nearly always one.

    Raises
    ------
    Omitted
        no label has a mask
    TooLarge
        the packed frames exceed `MOST_BYTES`
    """
    labels = shown_labels(context)
    if not labels:
        raise Omitted("No label is present in the series.")
    slices = mapped_slices(context)
    masks = [made for made in _each_grid(context, labels, slices.grids) if made.planes]
    if not masks:
        raise Omitted(f"The blood map of no present label exceeds {BLOOD_THRESHOLD}.")
    remarks = " ".join(("Research use only.", *_without_segment(labels, masks), *slices.remarks))
    return [_segmentation(context, made, number, remarks) for number, made in enumerate(masks, 1)]


def _each_grid(
    context: ResultContext, labels: Sequence[Label], grids: Sequence[Sequence[SourcePlane]]
) -> Iterator[_Masks]:
    left = MOST_BYTES
    for planes in grids:
        masks = _masks(context, labels, planes, left)
        left -= len(masks.pixels)
        yield masks


def _without_segment(labels: Sequence[Label], masks: Sequence[_Masks]) -> Iterator[str]:
    missing = [label for label in labels if not any(label in made.planes for made in masks)]
    if missing:
        yield f"Present, but nowhere above {BLOOD_THRESHOLD}: {', '.join(missing)}."


def label_mask(context: ResultContext, plane: SourcePlane, label: Label) -> NDArray[np.bool_] | None:
    """(rows, columns) bool on the stored pixels; None where it is empty."""
    if blood_cells(context, plane.index, label).max() <= BLOOD_THRESHOLD:
        return None  # interpolation stays below
    mask = blood_on_source(context, plane.index, label) > BLOOD_THRESHOLD
    return mask if mask.any() else None


def _masks(context: ResultContext, labels: Sequence[Label], planes: Sequence[SourcePlane], most_bytes: int) -> _Masks:
    found: dict[Label, list[SourcePlane]] = {}
    packer = BitPacker()
    for label, plane, mask in _each_mask(context, labels, planes):
        found.setdefault(label, []).append(plane)
        packer.add(mask)
        if packer.size > most_bytes:
            raise TooLarge(f"masks exceed {MOST_BYTES >> 20} MiB")
    return _Masks(found, packer.packed())


def _each_mask(
    context: ResultContext, labels: Sequence[Label], planes: Sequence[SourcePlane]
) -> Iterator[tuple[Label, SourcePlane, NDArray[np.bool_]]]:
    for label in labels:
        for plane in planes:
            mask = label_mask(context, plane, label)
            if mask is not None:
                yield label, plane, mask


def _segmentation(context: ResultContext, masks: _Masks, number: int, remarks: str) -> ResultObject:
    dataset = _without_frames(context, list(masks.planes), number)
    frames = [(segment, plane) for segment, label in enumerate(masks.planes, 1) for plane in masks.planes[label]]
    planes = [plane for _, plane in frames]
    order = _plane_order(planes)
    dataset.PerFrameFunctionalGroupsSequence = [_frame(plane, segment, order[plane.index]) for segment, plane in frames]
    dataset.SharedFunctionalGroupsSequence = [shared_groups(planes[0])]
    set_sources(dataset, context.header.SeriesInstanceUID, planes)
    dataset.NumberOfFrames = len(frames)
    dataset.Rows, dataset.Columns, dataset.PixelData = planes[0].rows, planes[0].columns, masks.pixels
    dataset.ImageComments = remarks
    dataset.SegmentsOverlap = "UNDEFINED" if len(masks.planes) > 1 else "NO"
    return finish_image(context, "segmentation", dataset, number)


def _without_frames(context: ResultContext, labels: Sequence[Label], number: int) -> Segmentation:
    """All modules of the object, with one frame of eight pixels a segment in place of its frames."""
    return Segmentation(
        source_images=[placeholder_source(context)],
        pixel_array=np.ones((1, 1, 8, len(labels)), np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(context, segment, label) for segment, label in enumerate(labels, 1)],
        content_label="ICH",
        content_description="Research use only",
        **constructor_arguments(context, "segmentation", number),
    )


def _segment(context: ResultContext, number: int, label: Label) -> SegmentDescription:
    description = SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=FINDINGS[label],
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm_identification(context),
        tracking_uid=derive_uid(context.seed, "segmentation", label),
        tracking_id=label,
        anatomic_regions=[codes.SCT.Brain],
        display_color=CIELabColor.from_rgb(*LABEL_COLOURS[label]),
    )
    description.SegmentDescription = f"Share of blood above {BLOOD_THRESHOLD}; research use only"
    return description


def _plane_order(planes: Sequence[SourcePlane]) -> dict[int, int]:
    """Position from 1 along the normal, by index; planes at one position follow one another."""
    ordered = sorted({plane.index: plane for plane in planes}.values(), key=lambda p: (p.distance_mm, p.index))
    return {plane.index: place for place, plane in enumerate(ordered, 1)}


def _frame(plane: SourcePlane, segment: int, place: int) -> Dataset:
    group = frame_group(plane, (segment, place), _DERIVATION)
    identification = Dataset()
    identification.ReferencedSegmentNumber = segment
    group.SegmentIdentificationSequence = [identification]
    return group
