from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.slice_geometry import SliceGeometry, slice_marks

SIZES = st.integers(1, 2000)
PLACES = st.floats(-1000, 3000)


@st.composite
def geometries(draw: st.DrawFn) -> SliceGeometry:
    height, width = draw(st.integers(1, 512)), draw(st.integers(1, 512))
    transpose, reverse_rows, reverse_columns = draw(st.sampled_from(list(product((False, True), repeat=3))))
    return SliceGeometry(
        rows=draw(SIZES),
        columns=draw(SIZES),
        transpose=transpose,
        reverse_rows=reverse_rows,
        reverse_columns=reverse_columns,
        top=(512 - height) // 2,
        left=(512 - width) // 2,
        height=height,
        width=width,
    )


@given(geometries(), PLACES, PLACES)
def test_both_directions_are_inverse(geometry: SliceGeometry, row: float, column: float) -> None:
    assert geometry.to_picture(*geometry.to_source(row, column)) == pytest.approx((row, column), abs=1e-6)


@given(geometries())
def test_the_corners_of_the_scaled_slice_are_those_of_the_frame(geometry: SliceGeometry) -> None:
    top, left = geometry.top, geometry.left
    found = {
        tuple(round(value, 6) for value in geometry.to_source(top + below, left + right))
        for below, right in product((0, geometry.height), (0, geometry.width))
    }
    assert found == set(product((0.0, float(geometry.rows)), (0.0, float(geometry.columns))))


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        ((1, 0, 0, 0, 1, 0), "RLAP"),
        ((0.96, 0.28, 0, -0.26, 0.9, 0.35), "RLAP"),
        ((1, 0, 0, 0, 0, -1), "RLHF"),
        ((0, -1, 0, 0, 0, 1), "PAFH"),
        ((-1, 0, 0, 0, -1, 0), "LRPA"),
    ],
)
def test_marks_are_the_closest_directions(orientation: tuple[float, ...], letters: str) -> None:
    marks = slice_marks(orientation)
    assert marks
    assert "".join((marks.left, marks.right, marks.top, marks.bottom)) == letters


@pytest.mark.parametrize("orientation", [None, (0, 0, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0)])
def test_without_an_orientation_there_are_no_marks(orientation: tuple[float, ...] | None) -> None:
    assert slice_marks(orientation) is None
