"""The header of each frame; enhanced files keep it in functional groups (PS3.3 C.7.6.16)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from services.common.orientation import is_axial
from services.preprocess.dataset_reader import BoundedReader, sequence_items
from services.preprocess.element_values import number, numbers, readable_number, text, texts
from services.preprocess.units import ImageKind, image_kind

# Functional groups of attributes that a single-frame file has at its top level (PS3.3 C.7.6.16.2, C.8.15.3).
_MACROS: Final = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTXRayDetailsSequence",
    "CTReconstructionSequence",
    "CTImageFrameTypeSequence",
    "FrameContentSequence",
    "FrameAnatomySequence",
    "ContrastBolusUsageSequence",
)
# Attributes of a legacy converted object without a macro (PS3.3 C.7.6.25); any other place takes precedence.
_UNASSIGNED: Final = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Position (PS3.3 C.7.6.2), rescale (C.11.1) and acquisition (C.8.2.1, C.8.15.3) of one frame, as stated.

    has_pixel_spacing : whether PixelSpacing is present; if not, the spacings are 1 mm
    has_rescale : whether slope and intercept are present; if not, the values count as Hounsfield units
    image_type : FrameType, or else ImageType, in capitals; `image_kind` depends on both
    """

    position_mm: tuple[float, ...] | None
    image_orientation: tuple[float, ...] | None
    row_spacing_mm: float
    column_spacing_mm: float
    has_pixel_spacing: bool
    rescale_slope: float
    rescale_intercept: float
    has_rescale: bool
    rescale_type: str
    image_kind: ImageKind
    image_type: tuple[str, ...]
    convolution_kernel: str
    kvp: float | None
    slice_thickness_mm: float | None
    spacing_between_slices_mm: float | None
    slice_location_mm: float | None
    stack_id: str

    @property
    def is_localizer(self) -> bool:
        """Whether this is a localizer."""
        return "LOCALIZER" in self.image_type

    @property
    def is_slice(self) -> bool:
        """Whether this is an axial slice."""
        return not self.is_localizer and is_axial(self.image_orientation)


def frame_datasets(file: BoundedReader, dataset: Dataset, count: int) -> Iterator[Dataset]:
    """The attributes of each frame: its own, else shared ones, else the file's."""
    shared = next(iter(sequence_items(file, dataset, "SharedFunctionalGroupsSequence")), None)
    base = dataset if shared is None else _merged(file, dataset, shared)
    per_frame = iter(sequence_items(file, dataset, "PerFrameFunctionalGroupsSequence"))
    for _ in range(count):
        group = next(per_frame, None)
        yield base if group is None else _merged(file, base, group)


def frame_header(dataset: Dataset) -> FrameHeader:
    spacing = numbers(dataset, "PixelSpacing", 2)
    row_spacing, column_spacing = spacing or (1.0, 1.0)
    file_type, frame_type = _capitals(dataset, "ImageType"), _capitals(dataset, "FrameType")
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    return FrameHeader(
        position_mm=numbers(dataset, "ImagePositionPatient", 3),
        image_orientation=numbers(dataset, "ImageOrientationPatient", 6),
        row_spacing_mm=row_spacing,
        column_spacing_mm=column_spacing,
        has_pixel_spacing=spacing is not None,
        rescale_slope=1.0 if slope is None else slope,
        rescale_intercept=0.0 if intercept is None else intercept,
        has_rescale=slope is not None and intercept is not None,
        rescale_type="\\".join(dict.fromkeys(texts(dataset, "RescaleType"))),
        image_kind=image_kind(file_type + frame_type, text(dataset, "SeriesDescription")),
        image_type=frame_type if any(frame_type) else file_type,
        convolution_kernel=text(dataset, "ConvolutionKernel"),
        kvp=readable_number(dataset, "KVP"),
        slice_thickness_mm=number(dataset, "SliceThickness"),
        spacing_between_slices_mm=number(dataset, "SpacingBetweenSlices"),
        slice_location_mm=readable_number(dataset, "SliceLocation"),
        stack_id=text(dataset, "StackID"),
    )


def _capitals(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    return tuple(word.upper() for word in texts(dataset, keyword))


def _merged(file: BoundedReader, lower: Dataset, group: Dataset) -> Dataset:
    """The attributes in a functional group's macros, merged over another data set."""
    found = Dataset()
    for macro in _UNASSIGNED:
        for first in sequence_items(file, group, macro)[:1]:
            found.update(first)
    found.update(lower)
    for macro in _MACROS:
        for first in sequence_items(file, group, macro)[:1]:
            found.update(first)
    return found
