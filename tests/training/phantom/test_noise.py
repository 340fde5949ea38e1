import numpy as np

from training.phantom.noise import sample


def _points(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.uniform(-90, 90, count).astype(np.float32) for _ in range(3)]


def test_mean_and_deviation() -> None:
    values = sample(*_points(200_000), wavelength_mm=15, offset=3)
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05


def test_another_offset_is_another_field() -> None:
    points = _points(20_000)
    one, two = (sample(*points, wavelength_mm=15, offset=offset) for offset in (1, 2))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.6


def test_neighbours_are_alike_within_a_fraction_of_the_wavelength() -> None:
    x, y, z = _points(20_000)
    here, near, far = (sample(x + step, y, z, wavelength_mm=30, offset=1) for step in (0, 2, 15))
    assert np.corrcoef(here, near)[0, 1] > 0.85
    assert np.corrcoef(here, far)[0, 1] < 0.3
