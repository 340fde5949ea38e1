"""Directions in the patient."""

from math import cos, radians, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.preprocess.geometry import HEADWARDS, along, is_axial, normal

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def tilted(degrees: float) -> tuple[float, ...]:
    angle = radians(degrees)
    return (1.0, 0.0, 0.0, 0.0, cos(angle), -sin(angle))


@given(st.floats(-44, 44))
def test_tilted_slices_are_axial_and_their_normal_points_headwards(degrees: float) -> None:
    direction = normal(tilted(degrees))
    assert is_axial(tilted(degrees))
    assert direction == pytest.approx((0, sin(radians(degrees)), cos(radians(degrees))))


@pytest.mark.parametrize(
    "orientation", [(-1.0, 0, 0, 0, 1, 0), (1.0, 0, 0, 0, -1, 0), (-1.0, 0, 0, 0, -1, 0), (0, 1.0, 0, -1, 0, 0)]
)
def test_any_way_round_in_the_scanner(orientation: tuple[float, ...]) -> None:
    assert normal(orientation) == pytest.approx(HEADWARDS)


@pytest.mark.parametrize("orientation", [CORONAL, SAGITTAL, tilted(60)])
def test_other_planes_are_not_axial(orientation: tuple[float, ...]) -> None:
    assert not is_axial(orientation)


@pytest.mark.parametrize("orientation", [None, (0.0,) * 6, (1.0, 0, 0, 1, 0, 0), (1e300,) * 6])
def test_orientation_that_says_nothing(orientation: tuple[float, ...] | None) -> None:
    assert normal(orientation) == HEADWARDS


def test_distance_along_a_direction() -> None:
    assert along((0, 0.6, 0.8), (100, 10, 20)) == pytest.approx(22)
