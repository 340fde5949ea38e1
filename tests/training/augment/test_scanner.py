from typing import Any

import numpy as np
import pytest
from keras import ops

from training.augment.scanner import RandomScanner, _smooth


def _pictures() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    small = np.random.default_rng(1).integers(60, 120, (4, 256, 256, 2), dtype=np.uint8)
    small[:, :40] = 0
    small[:, 40:60] = 255
    return small


@pytest.mark.parametrize(("grain", "slow_hu"), [(0.0, 0.0), (1.0, 0.0), (1.0, 3.0), (2.0, 3.0)])
def test_disturbed_pictures_stay_pictures_and_keep_bone_and_air(grain: float, slow_hu: float) -> None:
    small = _pictures()
    first, second = (RandomScanner(noise_hu=2.5, grain=grain, slow_hu=slow_hu, seed=0) for _ in range(2))
    one, same, other = (np.asarray(layer(small, training=True)) for layer in (first, second, first))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1
    np.testing.assert_array_equal(one[..., 0], small[..., 0])
    assert one.min() >= 0
    assert one.max() <= 255
    assert np.abs(one[:, 70:, :, 1] - small[:, 70:, :, 1]).mean() < 30


def test_pictures_are_left_as_they_are_outside_of_training() -> None:
    small = _pictures()
    np.testing.assert_array_equal(RandomScanner(noise_hu=2.5, grain=1.0, seed=0)(small), small)


def test_more_noise_is_more_noise() -> None:
    flat = np.full((32, 64, 64, 2), 90, np.uint8)
    little, much = (np.asarray(RandomScanner(noise_hu=hu, grain=0, seed=3)(flat, training=True)) for hu in (1, 8))
    assert much[..., 1].std(axis=(1, 2)).mean() > 4 * little[..., 1].std(axis=(1, 2)).mean()


def test_grain_goes_over_more_pixels_and_leaves_the_noise_as_strong() -> None:
    flat = np.full((128, 64, 64, 2), 128, np.uint8)
    deviations, likeness = zip(
        *(_noise(RandomScanner(noise_hu=6, grain=grain, seed=4)(flat, training=True)) for grain in (0.0, 1.0, 2.0)),
        strict=True,
    )
    assert min(deviations) > 0.75 * max(deviations)
    assert likeness[0] < 0.1 < likeness[1] < likeness[2] - 0.1


def _noise(pictures: Any) -> tuple[float, float]:
    """Mean deviation, and correlation of pixels that are two columns apart."""
    noise = np.asarray(pictures)[:, 2:-2, 2:-2, 1]
    noise = noise - noise.mean(axis=(1, 2), keepdims=True)
    same = (noise[:, :, 2:] * noise[:, :, :-2]).mean() / noise.var()
    return float(noise.std(axis=(1, 2)).mean()), float(same)


def test_hills_are_low_and_wide() -> None:
    flat = np.full((16, 64, 64, 2), 90, np.uint8)
    plain, hilly = (
        np.asarray(RandomScanner(noise_hu=0, grain=0, slow_hu=hu, seed=3)(flat, training=True)) for hu in (0, 6)
    )
    hills = hilly[..., 1] - hilly[..., 1].mean(axis=(1, 2), keepdims=True)
    assert plain[..., 1].std(axis=(1, 2)).max() < 0.01
    assert 1 < hills.std(axis=(1, 2)).mean() < 6 * 255 / 200
    assert np.abs(np.diff(hills, axis=1)).mean() < 0.3 * hills.std()


def _head() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Brain of 30 HU, a band of bone of 1,200 HU down the middle."""
    hu = np.full((8, 64, 64), 30.0)
    hu[:, :, 28:36] = 1200
    windows = ((hu + 800) * 255 / 2800, (hu + 20) * 255 / 200)
    return np.stack([np.rint(np.clip(levels, 0, 255)) for levels in windows], axis=-1).astype(np.uint8)


def test_a_kernel_leaves_rims_on_the_brain_along_bone() -> None:
    small = _head()
    plain, rims = (
        np.asarray(RandomScanner(noise_hu=0, grain=0, seed=5, kernel=kernel)(small, training=True))
        for kernel in (False, True)
    )
    beside, away = slice(26, 28), slice(4, 20)
    soft = [seen[..., 1] - seen[:, :, away, 1].mean(axis=(1, 2), keepdims=True) for seen in (plain, rims)]
    in_hu = [np.abs(levels[:, 10:-10, beside]).mean(axis=(1, 2)) * 200 / 255 for levels in soft]
    assert in_hu[1].max() > max(20, 2 * in_hu[0].max())
    assert np.abs(rims[:, :, away, 1] - rims[:, :1, 10:11, 1]).max() < 2
    assert np.abs(rims[..., 0].astype(float) - small[..., 0]).max() > 10
    np.testing.assert_array_equal(plain[..., 0], small[..., 0])


def test_pictures_of_one_scanner_are_changed_in_the_same_way() -> None:
    small = _head()
    same, each = (
        np.asarray(RandomScanner(noise_hu=0, grain=0, seed=6, kernel=True, one_scanner=same)(small, training=True))
        for same in (True, False)
    )
    assert np.ptp(same, axis=0).max() == 0
    assert np.ptp(each, axis=0).max() > 5


def test_smoothing_is_pooling_and_keeps_what_is_even_up_to_the_edges() -> None:
    noise = np.random.default_rng(3).normal(0, 50, (3, 20, 30, 1)).astype(np.float32)
    pooled = np.asarray(ops.average_pool(noise, 3, strides=1, padding="same"))
    np.testing.assert_allclose(np.asarray(_smooth(noise)), pooled, atol=1e-4)
    np.testing.assert_allclose(np.asarray(_smooth(np.full((1, 8, 8, 1), 7, np.float32))), 7, rtol=1e-6)
