"""Where slices lie along the head (PS3.3 C.7.6.2.1.1).

Patient coordinates: x to the left, y to the back, z headwards.
"""

from math import sqrt
from typing import Final

Vector = tuple[float, ...]

HEADWARDS: Final[Vector] = (0.0, 0.0, 1.0)
_AXIAL: Final = sqrt(0.5)  # the cosine of 45 degrees; gantries and heads tilt by 30 at most


def normal(orientation: Vector | None) -> Vector:
    """The unit normal of a slice, towards the head; where the orientation says nothing, the head's own axis.

    Parameters
    ----------
    orientation : ImageOrientationPatient, the direction of a row and of a column
    """
    if orientation is None:
        return HEADWARDS
    x, y, z = _cross(orientation[:3], orientation[3:])
    length = sqrt(x * x + y * y + z * z)
    if not 0.5 < length < 2:  # noqa: PLR2004 - unit vectors at a right angle, roughly
        return HEADWARDS
    sign = 1 if z >= 0 else -1
    return sign * x / length, sign * y / length, sign * z / length


def is_axial(orientation: Vector | None) -> bool:
    """Whether a slice is nearer to axial than to coronal or sagittal."""
    return normal(orientation)[2] >= _AXIAL


def along(direction: Vector, position_mm: Vector) -> float:
    """How far a position lies in a direction, in mm."""
    return sum(a * b for a, b in zip(direction, position_mm, strict=True))


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
