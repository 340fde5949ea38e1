"""Parametric Map: the share of blood of any subtype as float32, on every slice's source grid (PS3.3 A.75).

Viewers need a map of full size with every slice. 300 slices of 512 x 512 take 315 MB, so this kind is off by default.
highdicom makes the object for a frame of eight pixels; the frames are then filled in one by one.
"""

from collections.abc import Sequence
from copy import deepcopy
from io import BytesIO
from typing import Final

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import DerivedPixelContrastValues, ParametricMap, RealWorldValueMapping
from pydicom import Dataset
from pydicom.sr.coding import Code

from services.dicom_node.results.blood_map import blood_on_source, mapped_slices
from services.dicom_node.results.codes import NO_UNITS
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.frame_groups import frame_group, set_sources, shared_groups
from services.dicom_node.results.image_modules import constructor_arguments, finish_image, placeholder_source
from services.dicom_node.results.omitted import Omitted, TooLarge
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.results.source_planes import SourcePlane

MOST_BYTES: Final = 512 << 20  # of pixels of an assessment: 512 slices of 512 x 512
_DERIVATION: Final = Code("113085", "DCM", "Spatial resampling")
_VALUE_BYTES: Final = 4


def build_parametric_maps(context: ResultContext) -> Sequence[ResultObject]:
    """One object for each grid of the series; nearly always one.

    Raises
    ------
    Omitted
        there is no blood map, or no slice that it can be placed on
    TooLarge
        the map exceeds `MOST_BYTES`
    """
    if context.blood is None:
        raise Omitted("The report has no blood map.")
    slices = mapped_slices(context)
    size = sum(_VALUE_BYTES * plane.rows * plane.columns for planes in slices.grids for plane in planes)
    if size > MOST_BYTES:
        raise TooLarge(f"The map would take {size >> 20} MiB; the limit is {MOST_BYTES >> 20} MiB.")
    remarks = " ".join(("Research use only.", *slices.remarks))
    return [_parametric_map(context, planes, number, remarks) for number, planes in enumerate(slices.grids, 1)]


def _parametric_map(context: ResultContext, planes: Sequence[SourcePlane], number: int, remarks: str) -> ResultObject:
    dataset = _without_frames(context, number)
    dataset.SharedFunctionalGroupsSequence[0].update(shared_groups(planes[0]))
    others = dataset.PerFrameFunctionalGroupsSequence[0]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(others, plane, place) for place, plane in enumerate(planes, 1)]
    set_sources(dataset, context.header.SeriesInstanceUID, planes)
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = len(planes), planes[0].rows, planes[0].columns
    dataset.ImageComments = remarks
    dataset.FloatPixelData = _pixels(context, planes)
    return finish_image(context, "parametric_map", dataset, number)


def _frame(others: Dataset, plane: SourcePlane, place: int) -> Dataset:
    """The groups of a frame; `others` are those that do not depend on the source."""
    group = deepcopy(others)
    group.update(frame_group(plane, (place,), _DERIVATION))
    return group


def _pixels(context: ResultContext, planes: Sequence[SourcePlane]) -> bytes:
    pixels = BytesIO()  # hands its bytes over without a copy
    for plane in planes:
        pixels.write(blood_on_source(context, plane.index, "any").astype("<f4", copy=False).data)
    return pixels.getvalue()


def _without_frames(context: ResultContext, number: int) -> ParametricMap:
    """All modules of the object, with one frame of eight pixels in place of its frames."""
    mapping = RealWorldValueMapping(
        lut_label="BLOOD",
        lut_explanation="Share of blood; research use only",
        unit=NO_UNITS,
        value_range=(0.0, 1.0),
        slope=1,
        intercept=0,
    )
    return ParametricMap(
        source_images=[placeholder_source(context)],
        pixel_array=np.ones((1, 1, 8), np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
        derived_pixel_contrast=DerivedPixelContrastValues.RESAMPLED,
        content_label="ICH",
        content_description="Research use only",
        **constructor_arguments(context, "parametric_map", number),
    )
