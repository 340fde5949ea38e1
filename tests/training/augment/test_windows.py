import numpy as np
import tensorflow as tf

from services.common.recipe import DEFAULT_RECIPE
from training.augment.windows import augmented
from training.options.augment import Augment

STILL = Augment(flip=False, shift=0, scale=0, turn_degrees=0, window_hu=0, window_width=0)


def _pictures() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


def _seen(plan: Augment, step: int = 1) -> np.ndarray:
    return np.asarray(augmented(tf.constant(_pictures()), tf.constant([0, step]), plan, DEFAULT_RECIPE))


def test_without_changes_pictures_stay_as_they_are() -> None:
    np.testing.assert_allclose(_seen(STILL), _pictures(), atol=1e-3)


def test_the_same_seed_gives_the_same() -> None:
    np.testing.assert_array_equal(_seen(Augment()), _seen(Augment()))
    assert np.abs(_seen(Augment()) - _seen(Augment(), step=2)).max() > 1


def test_levels_stay_levels() -> None:
    seen = _seen(Augment())
    assert seen.min() >= 0
    assert seen.max() <= 255


def test_windows_move_together_in_hounsfield_units() -> None:
    plan = Augment(flip=False, shift=0, scale=0, turn_degrees=0, window_hu=10, window_width=0)
    pictures = np.full((1, 4, 4, 3), 100, np.uint8)
    seen = np.asarray(augmented(tf.constant(pictures), tf.constant([0, 3]), plan, DEFAULT_RECIPE))[0, 0, 0]
    moved_hu = (seen - 100) * [window.width_hu / 255 for window in DEFAULT_RECIPE.windows]
    np.testing.assert_allclose(moved_hu, moved_hu[0], rtol=1e-3)
    assert 0.01 < abs(moved_hu[0]) <= 10
