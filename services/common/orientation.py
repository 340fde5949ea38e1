"""Orientation and position of slices in patient coordinates (PS3.3 C.7.6.2.1.1).

x points to the patient's left, y to the back, z to the head.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import hypot, sqrt
from typing import Final

Vector = tuple[float, ...]

HEADWARDS: Final[Vector] = (0.0, 0.0, 1.0)
_AXIAL: Final = sqrt(0.5)  # cosine of 45 degrees; gantries and heads tilt by at most 30
_UNIT_ERROR: Final = 0.05  # of lengths and of the cosine between them; some files round to two decimals


@dataclass(frozen=True, slots=True)
class InPlaneTransform:
    """One of the eight rearrangements of a slice's pixels: transpose, then reverse rows, then reverse columns."""

    transpose: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False

    def source_of(self, row: int, column: int, rows: int, columns: int) -> tuple[int, int]:
        """The stored pixel of a pixel in the transformed slice of `rows` x `columns`."""
        row = rows - 1 - row if self.reverse_rows else row
        column = columns - 1 - column if self.reverse_columns else column
        return (column, row) if self.transpose else (row, column)


IDENTITY: Final = InPlaneTransform()
_TRANSFORMS: Final = tuple(InPlaneTransform(*flags) for flags in product((False, True), repeat=3))


def is_orthonormal(orientation: Vector) -> bool:
    """Whether ImageOrientationPatient holds two unit vectors at a right angle, within rounding."""
    row, column = orientation[:3], orientation[3:]
    unit = all(abs(hypot(*vector) - 1) <= _UNIT_ERROR for vector in (row, column))
    return unit and abs(distance_along(row, column)) <= _UNIT_ERROR


@lru_cache(maxsize=256)
def to_patient_orientation(orientation: Vector | None) -> InPlaneTransform:
    """The transform that brings pixels into patient orientation: rows run to the left, columns to the back.

    It brings ImageOrientationPatient closest to (1, 0, 0, 0, 1, 0). Ties, as at 45 degrees, are broken independently of
    how the slice was stored. A missing or malformed orientation gives the identity.

    Parameters
    ----------
    orientation : ImageOrientationPatient, the direction of a row and of a column
    """
    if orientation is None or not is_orthonormal(orientation):
        return IDENTITY
    return max(_TRANSFORMS, key=lambda transform: _closeness(transform_orientation(orientation, transform)))


def transform_orientation(orientation: Vector, transform: InPlaneTransform) -> Vector:
    """ImageOrientationPatient of the transformed pixels."""
    row, column = orientation[:3], orientation[3:]
    if transform.transpose:
        row, column = column, row
    return (*_signed(row, transform.reverse_columns), *_signed(column, transform.reverse_rows))


def slice_normal(orientation: Vector | None) -> Vector:
    """The unit normal of a slice, towards the head; the z axis where the orientation is missing or malformed.

    Parameters
    ----------
    orientation : ImageOrientationPatient, the direction of a row and of a column
    """
    if orientation is None or not is_orthonormal(orientation):
        return HEADWARDS
    x, y, z = _cross(orientation[:3], orientation[3:])
    length = hypot(x, y, z)
    sign = 1 if z >= 0 else -1
    return sign * x / length, sign * y / length, sign * z / length


def is_axial(orientation: Vector | None) -> bool:
    """Whether a slice is closer to axial than to coronal or sagittal."""
    return slice_normal(orientation)[2] >= _AXIAL


def distance_along(direction: Vector, position_mm: Vector) -> float:
    """The component of a position along a unit vector, in mm."""
    return sum(a * b for a, b in zip(direction, position_mm, strict=True))


def _closeness(orientation: Vector) -> tuple[float, Vector]:
    """Closeness to (1, 0, 0, 0, 1, 0): the sum of two cosines; the orientation itself breaks ties."""
    return orientation[0] + orientation[4], orientation


def _signed(vector: Vector, negative: bool) -> Vector:  # noqa: FBT001 - a flag of the transform
    return tuple(-value for value in vector) if negative else vector


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
