import numpy as np
import pytest

from training.phantom.shapes import bump, ramp, soft_step


def test_a_surface_is_half_inside_and_one_mm_wide() -> None:
    share = soft_step(np.array([-2.0, -0.5, -0.25, 0.0, 0.25, 0.5, 2.0]))
    np.testing.assert_allclose(share, [0, 0, 0.25, 0.5, 0.75, 1, 1])
    assert share.dtype == np.float32


def test_a_ramp_rises_from_minus_one_to_one() -> None:
    np.testing.assert_allclose(ramp(np.array([-3.0, -1.0, -0.5, 0.0, 1.0, 3.0])), [0, 0, 0.25, 0.5, 1, 1])


def test_a_bump_is_a_gaussian_of_the_distance_in_every_direction() -> None:
    assert bump(np.array([0.0]), np.array([0.0]))[0] == 1
    np.testing.assert_allclose(bump(np.array([3.0]), np.array([4.0])), bump(np.array([-5.0])))
    assert bump(np.array([1.0]))[0] == pytest.approx(np.exp(-1))
