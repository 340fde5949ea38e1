"""Any size and pixel spacing is resampled to one size, undistorted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.preprocess.resample import AIR_HU, resample_and_pad


def test_the_target_size_is_unchanged() -> None:
    hu = np.zeros((512, 512), dtype=np.int16)
    assert resample_and_pad(hu, 0.5, 0.5) is hu


def test_spacing_rounded_by_the_scanner_is_square() -> None:
    hu = np.zeros((512, 512), dtype=np.int16)
    assert resample_and_pad(hu, 0.488281, 0.48828) is hu


@pytest.mark.parametrize("size", [256, 768, 1024])
def test_square_fills_the_picture(size: int) -> None:
    fitted = resample_and_pad(np.full((size, size), 70, dtype=np.int16), 0.4, 0.4)
    assert fitted.shape == (512, 512)
    assert (fitted == 70).all()


@pytest.mark.parametrize("shape", [(256, 256), (200, 256), (256, 77), (2, 256), (256, 1)])
def test_doubling_gives_the_pixels_of_pillow(shape: tuple[int, int]) -> None:
    hu = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, shape).astype(np.int16)
    doubled = Image.fromarray(hu.astype(np.float32)).resize((2 * shape[1], 2 * shape[0]), Image.Resampling.BILINEAR)
    top, left = 256 - shape[0], 256 - shape[1]
    fitted = resample_and_pad(hu, 0.8, 0.8)[top : 512 - top, left : 512 - left]
    assert (fitted == np.rint(np.asarray(doubled))).all()


def test_aspect_is_physical() -> None:
    """256 rows 1 mm apart by 512 columns 0.5 mm apart are a square."""
    assert (resample_and_pad(np.full((256, 512), 40, dtype=np.int16), 1.0, 0.5) == 40).all()


def test_narrow_slice_is_centred_in_air() -> None:
    fitted = resample_and_pad(np.full((512, 256), 40, dtype=np.int16), 0.5, 0.5)
    assert (fitted[:, 128:384] == 40).all()
    assert (fitted[:, :128] == AIR_HU).all()
    assert (fitted[:, 384:] == AIR_HU).all()


def test_wide_pixels_shrink_the_rows() -> None:
    """Columns twice as far apart as rows: the width fills the picture, the height half of it."""
    fitted = resample_and_pad(np.full((512, 512), 40, dtype=np.int16), 0.5, 1.0)
    assert (fitted[128:384] == 40).all()
    assert (fitted[:128] == AIR_HU).all()


def test_shrinking_averages() -> None:
    """A chequerboard of single pixels becomes its mean, without aliasing."""
    board = (np.indices((1024, 1024)).sum(axis=0) % 2 * 100).astype(np.int16)
    inside = resample_and_pad(board, 0.25, 0.25)[8:-8, 8:-8]
    assert abs(inside.astype(float) - 50).max() <= 2


def test_extreme_values_survive() -> None:
    hu = np.where(np.indices((300, 300))[0] < 150, -32768, 32767).astype(np.int16)
    fitted = resample_and_pad(hu, 1.0, 1.0)
    assert fitted[0, 0] == -32768
    assert fitted[-1, -1] == 32767
    assert (np.diff(fitted[:, 0].astype(int)) >= 0).all()


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 700),
    columns=st.integers(1, 700),
    row_spacing=st.floats(0.01, 10),
    column_spacing=st.floats(0.01, 10),
)
def test_the_shape_is_always_the_same(rows: int, columns: int, row_spacing: float, column_spacing: float) -> None:
    fitted = resample_and_pad(np.full((rows, columns), 33, dtype=np.int16), row_spacing, column_spacing)
    assert fitted.shape == (512, 512)
    assert fitted.dtype == np.int16
    assert set(np.unique(fitted)) <= {33, AIR_HU}
    assert (fitted == 33).any()
