"""The geometry of the headers is that of the pixels: marked pixels are found where it says."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.recipe import DEFAULT_RECIPE
from services.common.schemas import SeriesHeader
from services.preprocess.pipeline import Pipeline
from tests.preprocess.dicom_files import enhanced, functional_group, macro, written
from tests.scans import ct_slice, picture

ROWS, COLUMNS, MARK = 60, 100, 6
AXES = ([1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0])
AXIAL = [[*row, *column] for row, column in product(AXES, AXES) if np.dot(row, column) == 0]
OBLIQUE = [0.96, 0.28, 0, -0.26, 0.9, 0.35]


def _marked(corner: tuple[int, int]) -> NDArray[np.int16]:
    """Air with a block of bone."""
    hu = np.full((ROWS, COLUMNS), -1000, np.int16)
    hu[corner[0] : corner[0] + MARK, corner[1] : corner[1] + MARK] = 2000
    return hu


def _series(*files: bytes) -> SeriesHeader:
    with Pipeline(DEFAULT_RECIPE, 1) as pipeline:
        (found,) = pipeline.report_on(files).series
    return found


@pytest.mark.parametrize("orientation", [*AXIAL, OBLIQUE], ids=str)
@pytest.mark.parametrize("spacing", [[1, 1], [0.5, 1.25]], ids=str)
def test_a_marked_pixel_is_where_the_geometry_says(orientation: list[float], spacing: list[float]) -> None:
    file = ct_slice(0, hu=_marked((10, 70)), ImageOrientationPatient=orientation, PixelSpacing=spacing)
    (geometry,) = _series(file).geometries
    with Pipeline(DEFAULT_RECIPE, 1) as pipeline:
        pixels = pipeline.make_slices([file], np.zeros((1, 2), np.int32)).slices[0, ..., 0]
    rows, columns = np.nonzero(pixels > 128)
    found = geometry.to_source(rows.mean() + 0.5, columns.mean() + 0.5)
    assert found == pytest.approx((10 + MARK / 2, 70 + MARK / 2), abs=0.2)
    assert (geometry.rows, geometry.columns) == (ROWS, COLUMNS)
    assert 512 in (geometry.height, geometry.width)


def test_slices_of_one_series_may_differ() -> None:
    whole, part = np.full((64, 64), -1000, np.int16), np.full((32, 64), -1000, np.int16)
    found = _series(*(ct_slice(index, hu=hu) for index, hu in enumerate((whole, whole, part))))
    assert [item.geometry for item in found.items] == [0, 0, 1]
    assert [(geometry.rows, geometry.top) for geometry in found.geometries] == [(64, 0), (32, 128)]


def test_frames_of_an_enhanced_file_have_their_own() -> None:
    made = enhanced(2)
    del made.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    for frame, orientation in enumerate(([1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0])):
        functional_group(made, frame).PlaneOrientationSequence = macro(ImageOrientationPatient=orientation)
    found = _series(written(made))
    assert sorted(found.geometries[item.geometry or 0].reverse_columns for item in found.items) == [False, True]


def test_a_png_is_its_own_picture() -> None:
    (geometry,) = _series(picture()).geometries
    assert geometry.to_source(10.5, 20.5) == (10.5, 20.5)
    assert (geometry.marks, geometry.row_spacing_mm, geometry.column_spacing_mm) == (None, None, None)


@pytest.mark.parametrize("orientation", AXIAL, ids=str)
def test_spacings_and_marks_are_of_the_turned_pixels(orientation: list[float]) -> None:
    found = _series(ct_slice(0, hu=_marked((10, 70)), ImageOrientationPatient=orientation, PixelSpacing=[0.5, 1.25]))
    (geometry,) = found.geometries
    spacings = (geometry.row_spacing_mm, geometry.column_spacing_mm)
    assert spacings == ((1.25, 0.5) if geometry.transpose else (0.5, 1.25))
    assert geometry.marks
    assert (geometry.marks.left, geometry.marks.right) == ("R", "L")
    assert (geometry.marks.top, geometry.marks.bottom) == ("A", "P")


@pytest.mark.parametrize("spacing", [None, [0, 0]], ids=["absent", "unusable"])
def test_spacings_that_the_header_does_not_state_are_null(spacing: list[float] | None) -> None:
    (geometry,) = _series(ct_slice(0, PixelSpacing=spacing)).geometries
    assert (geometry.row_spacing_mm, geometry.column_spacing_mm) == (None, None)
