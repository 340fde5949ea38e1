import numpy as np
import pytest
from numpy.typing import NDArray

from training.research.scanner_variants import SCANNER_VARIANTS


def _slices() -> NDArray[np.float32]:
    """A disc of brain in air with a rim of bone."""
    down, right = np.mgrid[-32:32, -32:32]
    away = np.hypot(down, right)
    disc = np.where(away < 24, 35, np.where(away < 28, 900, -1000)).astype(np.float32)
    return np.stack([disc, disc])


@pytest.mark.parametrize("name", SCANNER_VARIANTS)
def test_a_change_is_the_same_each_time_and_changes_something(name: str) -> None:
    one, two = (SCANNER_VARIANTS[name](_slices()) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == _slices().shape
    assert one.dtype == np.float32
    assert np.abs(one - _slices()).max() > 2


def test_noise_is_as_much_as_it_says() -> None:
    brain = np.full((4, 128, 128), 35, np.float32)
    assert SCANNER_VARIANTS["6 HU of noise more"](brain).std() == pytest.approx(6, abs=0.1)


def test_another_slope_leaves_brain_as_it_is() -> None:
    assert SCANNER_VARIANTS["slope 1.1"](_slices())[0, 32, 32] == pytest.approx(35)
    assert SCANNER_VARIANTS["slope 1.1"](_slices())[0, 0, 0] < -1000


def test_smoother_is_smoother_and_sharper_is_sharper() -> None:
    every = (SCANNER_VARIANTS["smoother"](_slices()), _slices(), SCANNER_VARIANTS["sharper"](_slices()))
    smoother, plain, sharper = (float(np.abs(np.diff(slices, axis=1)).max()) for slices in every)
    assert smoother < plain < sharper
