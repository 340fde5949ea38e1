"""The midline of a drawn head: two eyes, a nose and a skull, turned and moved."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.midline import find_midline

ROWS, COLUMNS = np.mgrid[:512, :512] + 0.5


def drawn_head(angle_deg: float, row: float, column: float, blood_hu: int = 0) -> NDArray[np.int16]:
    """A head whose axis of symmetry runs through (row, column), with blood on its left side."""
    turn = np.radians(angle_deg)
    across = (COLUMNS - column) * np.cos(turn) - (ROWS - row) * np.sin(turn)
    down = (COLUMNS - column) * np.sin(turn) + (ROWS - row) * np.cos(turn)
    radius = np.hypot(across / 140, down / 175)
    hu = np.where(radius < 1, 30, -1000)
    hu[(radius < 0.95) & (radius > 0.87)] = 1000
    for side in (-1, 1):
        hu[np.hypot(across - side * 55, down + 120) < 22] = -50
    hu[(abs(across) < 12) & (abs(down + 125) < 30)] = -900
    hu[np.hypot(across - 80, down) < 30] += blood_hu
    noise = np.random.default_rng(3).normal(0, 6, hu.shape)
    return np.rint(hu + noise).astype(np.int16)


@pytest.mark.parametrize("angle_deg", [-27.0, -12.5, -1.2, 0.0, 6.3, 20.0])
@pytest.mark.parametrize(("row", "column"), [(256, 256), (290, 210), (215, 300)])
def test_the_axis_of_a_turned_and_moved_head(angle_deg: float, row: float, column: float) -> None:
    found = find_midline(drawn_head(angle_deg, row, column, blood_hu=40))
    assert found
    assert found.angle_deg == pytest.approx(angle_deg, abs=2)
    turn = np.radians(found.angle_deg)
    assert (found.column - column) * np.cos(turn) - (found.row - row) * np.sin(turn) == pytest.approx(0, abs=5)
    assert found.contrast > 0.25


def test_no_head_has_no_midline() -> None:
    assert find_midline(np.full((512, 512), -1000, np.int16)) is None
    assert find_midline(np.full((512, 512), 40, np.int16)) is None, "uniform: every axis is one of symmetry"


def test_a_head_beyond_the_picture_is_measured() -> None:
    assert find_midline(drawn_head(5, 500, 20))
