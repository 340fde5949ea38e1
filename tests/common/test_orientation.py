"""Directions in patient coordinates."""

from itertools import product
from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.orientation import (
    HEADWARDS,
    IDENTITY,
    InPlaneTransform,
    distance_along,
    is_axial,
    is_orthonormal,
    slice_normal,
    to_patient_orientation,
    transform_orientation,
)
from services.preprocess.resample import apply_transform

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def tilted(degrees: float) -> tuple[float, ...]:
    angle = radians(degrees)
    return (1.0, 0.0, 0.0, 0.0, cos(angle), -sin(angle))


@given(st.floats(-44, 44))
def test_tilted_slices_are_axial_and_their_normal_points_headwards(degrees: float) -> None:
    direction = slice_normal(tilted(degrees))
    assert is_axial(tilted(degrees))
    assert direction == pytest.approx((0, sin(radians(degrees)), cos(radians(degrees))))


@pytest.mark.parametrize(
    "orientation", [(-1.0, 0, 0, 0, 1, 0), (1.0, 0, 0, 0, -1, 0), (-1.0, 0, 0, 0, -1, 0), (0, 1.0, 0, -1, 0, 0)]
)
def test_any_patient_position_in_the_scanner(orientation: tuple[float, ...]) -> None:
    assert slice_normal(orientation) == pytest.approx(HEADWARDS)


@pytest.mark.parametrize("orientation", [CORONAL, SAGITTAL, tilted(60)])
def test_other_planes_are_not_axial(orientation: tuple[float, ...]) -> None:
    assert not is_axial(orientation)


MALFORMED = [(0.0,) * 6, (1.0, 0, 0, 1, 0, 0), (1e300,) * 6, (2.0, 0, 0, 0, 2, 0), (1, 0, 0, 0.3, 0.954, 0)]


@pytest.mark.parametrize("orientation", [None, *MALFORMED])
def test_a_missing_or_malformed_orientation(orientation: tuple[float, ...] | None) -> None:
    assert slice_normal(orientation) == HEADWARDS
    assert to_patient_orientation(orientation) == IDENTITY


def test_orthonormal_within_rounding() -> None:
    assert not any(map(is_orthonormal, MALFORMED))
    assert is_orthonormal((0.71, 0.71, 0, -0.71, 0.71, 0))
    assert is_orthonormal(tilted(30))


EIGHT = [InPlaneTransform(*flags) for flags in product((False, True), repeat=3)]


def oblique(turned: float, degrees: float) -> tuple[float, ...]:
    """Turned within the plane, then tilted around x."""
    across, angle = radians(turned), radians(degrees)
    row, column = (cos(across), sin(across)), (-sin(across), cos(across))
    return tuple(value for x, y in (row, column) for value in (x, y * cos(angle), -y * sin(angle)))


@given(st.floats(-180, 180), st.floats(-30, 30))
def test_all_eight_orders_of_a_slice_become_one(turned: float, degrees: float) -> None:
    orientation = oblique(turned, degrees)
    stored = [transform_orientation(orientation, transform) for transform in EIGHT]
    (found,) = {transform_orientation(one, to_patient_orientation(one)) for one in stored}
    nearness = found[0] + found[4]
    assert nearness >= max(one[0] + one[4] for one in stored)
    assert nearness >= 1.3


@pytest.mark.parametrize("turned", [-135, -45, 45, 135])
def test_at_45_degrees_the_result_is_independent_of_the_stored_order(turned: float) -> None:
    half = 0.707107
    orientation = (half, half, 0, -half, half, 0) if turned in (45, -135) else (half, -half, 0, half, half, 0)
    assert (
        len(
            {
                transform_orientation(one, to_patient_orientation(one))
                for one in (transform_orientation(orientation, each) for each in EIGHT)
            }
        )
        == 1
    )


def test_the_standard_orientation_is_unchanged() -> None:
    for orientation in (AXIAL, tilted(18), tilted(-30), oblique(20, 10)):
        assert to_patient_orientation(orientation) == IDENTITY


@pytest.mark.parametrize("transform", EIGHT)
def test_pixels_map_back_to_their_stored_place(transform: InPlaneTransform) -> None:
    stored = np.arange(6, dtype=np.int16).reshape(2, 3)
    laid = apply_transform(stored, transform)
    for row, column in np.ndindex(*laid.shape):
        assert stored[transform.source_of(row, column, *laid.shape)] == laid[row, column]


def test_distance_along_a_direction() -> None:
    assert distance_along((0, 0.6, 0.8), (100, 10, 20)) == pytest.approx(22)
