"""The inverse of preprocess' mapping, against preprocess itself."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from services.common.orientation import to_patient_orientation
from services.common.slice_geometry import SliceGeometry
from services.dicom_node.results.source_grid import to_source_grid
from services.preprocess.frame_header import FrameHeader, frame_header
from services.preprocess.resample import apply_transform, resample_and_pad
from services.preprocess.slice_geometry import slice_geometry

AXES = [(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0)]
ORIENTATIONS = [(*row, *column) for row, column in product(AXES, AXES) if not np.dot(row, column)]  # all eight
SIZES = [(512, 512), (256, 256), (512, 400), (300, 480), (77, 130)]


def header(orientation: tuple[float, ...], spacing_mm: tuple[float, float] = (0.5, 0.5)) -> FrameHeader:
    data = Dataset()
    data.ImageOrientationPatient, data.PixelSpacing = list(orientation), list(spacing_mm)
    return frame_header(data)


def picture(
    stored: NDArray[np.int16], orientation: tuple[float, ...], spacing_mm: tuple[float, float] = (0.5, 0.5)
) -> NDArray[np.float32]:
    """As preprocess makes it."""
    transform = to_patient_orientation(orientation)
    row_mm, column_mm = reversed(spacing_mm) if transform.transpose else spacing_mm
    return resample_and_pad(apply_transform(stored, transform), row_mm, column_mm).astype(np.float32)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_full_size_slice_comes_back_exactly(orientation: tuple[float, ...]) -> None:
    stored = np.random.default_rng(1).integers(-1000, 3000, (512, 512)).astype(np.int16)
    geometry = slice_geometry(512, 512, header(orientation))
    np.testing.assert_allclose(to_source_grid(picture(stored, orientation), geometry), stored, atol=1e-3)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5), (0.4, 0.7)])
def test_a_ramp_comes_back_without_shift(
    orientation: tuple[float, ...], shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    stored = (5 * rows + 3 * columns).astype(np.int16)
    geometry = slice_geometry(*shape, header(orientation, spacing_mm))
    found = to_source_grid(picture(stored, orientation, spacing_mm), geometry)
    inside = (slice(3, -3),) * 2
    assert found.shape == shape
    np.testing.assert_allclose(found[inside], stored[inside], atol=0.75)  # preprocess rounds to whole HU


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("shape", SIZES)
def test_a_cell_lies_where_its_pixels_lie(orientation: tuple[float, ...], shape: tuple[int, int]) -> None:
    geometry = slice_geometry(*shape, header(orientation, (0.4, 0.6)))
    cells = np.zeros((32, 32), np.float32)
    cells[14, 19] = 1
    found = to_source_grid(cells, geometry)
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    centre = np.average(rows, weights=found), np.average(columns, weights=found)
    assert geometry.to_picture(*centre) == pytest.approx((14.5 * 16, 19.5 * 16), abs=0.6)


def test_uniform_values_stay_uniform_up_to_the_edges() -> None:
    geometry = slice_geometry(300, 480, header(ORIENTATIONS[3]))
    np.testing.assert_allclose(to_source_grid(np.full((32, 32), 0.7, np.float32), geometry), 0.7, rtol=1e-6)


def test_interpolated_values_never_exceed_those_of_the_cells() -> None:
    cells = np.random.default_rng(2).random((32, 32), np.float32)
    found = to_source_grid(cells, slice_geometry(700, 512, header(ORIENTATIONS[1])))
    assert cells.min() <= found.min() <= found.max() <= np.nextafter(cells.max(), np.float32(2))


def test_a_grid_of_one_cell_fills_the_frame() -> None:
    geometry = SliceGeometry(
        rows=4,
        columns=6,
        transpose=False,
        reverse_rows=False,
        reverse_columns=False,
        top=0,
        left=0,
        height=512,
        width=512,
    )
    np.testing.assert_array_equal(to_source_grid(np.ones((1, 1), np.float32), geometry), 1)
