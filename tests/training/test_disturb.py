import numpy as np
import pytest

from training.disturb import Disturb


def _pictures() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    small = np.random.default_rng(1).integers(60, 120, (4, 256, 256, 2), dtype=np.uint8)
    small[:, :40] = 0
    small[:, 40:60] = 255
    return small


@pytest.mark.parametrize("grain", [0.0, 1.0])
def test_disturbed_pictures_stay_pictures_and_keep_bone_and_air(grain: float) -> None:
    small = _pictures()
    first, second = (Disturb(noise_hu=2.5, grain=grain, seed=0) for _ in range(2))
    one, same, other = (np.asarray(layer(small, training=True)) for layer in (first, second, first))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1
    np.testing.assert_array_equal(one[..., 0], small[..., 0])
    assert one.min() >= 0
    assert one.max() <= 255
    assert np.abs(one[:, 70:, :, 1] - small[:, 70:, :, 1]).mean() < 30


def test_pictures_are_left_as_they_are_outside_of_training() -> None:
    small = _pictures()
    np.testing.assert_array_equal(Disturb(noise_hu=2.5, grain=1.0, seed=0)(small), small)


def test_more_noise_is_more_noise() -> None:
    flat = np.full((32, 64, 64, 2), 90, np.uint8)
    little, much = (np.asarray(Disturb(noise_hu=hu, grain=0, seed=3)(flat, training=True)) for hu in (1, 8))
    assert much[..., 1].std(axis=(1, 2)).mean() > 4 * little[..., 1].std(axis=(1, 2)).mean()
