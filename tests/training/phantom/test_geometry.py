import numpy as np
import pytest

from training.phantom.geometry import SIZE, Points, draw_scan, rotation


@pytest.mark.parametrize("seed", range(5))
def test_slices_ascend_along_a_normal(seed: int) -> None:
    scan = draw_scan(np.random.default_rng(seed))
    assert np.all(np.diff(scan.position_mm) > 0)
    axes = scan.orientation()
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-12)


def test_points_are_a_pixel_apart() -> None:
    scan = draw_scan(np.random.default_rng(1))
    points = scan.points(10.0)
    assert points.x.shape == (SIZE * SIZE,)
    step = np.sqrt(sum((axis[1] - axis[0]) ** 2 for axis in (points.x, points.y, points.z)))
    assert step == pytest.approx(scan.pixel_mm, rel=1e-4)


def test_no_turn_is_no_turn() -> None:
    np.testing.assert_allclose(rotation(pitch_deg=0, roll_deg=0, yaw_deg=0), np.eye(3))


def test_distance() -> None:
    points = Points(*(np.array([value], np.float32) for value in (3, 4, 0)))
    assert points.distance((0, 0, 0))[0] == pytest.approx(5)
