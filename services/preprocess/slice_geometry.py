"""Where a frame's pixels lie in the recipe's picture, by its header alone. Decoding uses the same transform."""

from functools import lru_cache
from typing import NamedTuple

from services.common.orientation import InPlaneTransform, Vector, to_patient_orientation, transform_orientation
from services.common.slice_geometry import SliceGeometry, slice_marks
from services.preprocess.frame_header import FrameHeader
from services.preprocess.resample import fitted_shape, padding, usable_spacing_mm


class Orientation(NamedTuple):
    """The transform of a frame into patient orientation, and the spacings of the transformed pixels in mm."""

    transform: InPlaneTransform
    row_spacing_mm: float
    column_spacing_mm: float


def patient_orientation(frame: FrameHeader) -> Orientation:
    """The transform and spacings that a frame's header states; usable ones where it states none."""
    return _oriented(frame.image_orientation, frame.row_spacing_mm, frame.column_spacing_mm)


def _oriented(orientation: Vector | None, row_spacing_mm: float, column_spacing_mm: float) -> Orientation:
    transform = to_patient_orientation(orientation)
    row_mm, column_mm = usable_spacing_mm(row_spacing_mm, column_spacing_mm)
    spacing_mm = (column_mm, row_mm) if transform.transpose else (row_mm, column_mm)
    return Orientation(transform, *spacing_mm)


def slice_geometry(rows: int, columns: int, frame: FrameHeader, side: int = 512) -> SliceGeometry:
    """How the picture maps to the stored pixels of a frame of `rows` x `columns`.

    Parameters
    ----------
    side : rows and columns of the picture
    """
    spacing_mm = (frame.row_spacing_mm, frame.column_spacing_mm) if frame.has_pixel_spacing else None
    return _geometry(rows, columns, frame.image_orientation, spacing_mm, side)


@lru_cache(maxsize=256)  # nearly all slices of a series have the same
def _geometry(
    rows: int, columns: int, orientation: Vector | None, spacing_mm: tuple[float, float] | None, side: int
) -> SliceGeometry:
    transform, row_mm, column_mm = _oriented(orientation, *(spacing_mm or (1.0, 1.0)))
    stated = spacing_mm is not None and usable_spacing_mm(*spacing_mm) == spacing_mm
    turned = (columns, rows) if transform.transpose else (rows, columns)
    height, width = fitted_shape(turned, row_mm, column_mm, side, side)
    top, left = padding((height, width), side, side)
    return SliceGeometry(
        rows=rows,
        columns=columns,
        transpose=transform.transpose,
        reverse_rows=transform.reverse_rows,
        reverse_columns=transform.reverse_columns,
        top=top,
        left=left,
        height=height,
        width=width,
        row_spacing_mm=row_mm if stated else None,
        column_spacing_mm=column_mm if stated else None,
        marks=slice_marks(orientation and transform_orientation(orientation, transform)),
    )


def picture_geometry(side: int = 512) -> SliceGeometry:
    """Of a PNG, which is the picture."""
    return _geometry(side, side, None, None, side)
