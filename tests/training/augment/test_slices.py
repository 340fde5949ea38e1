from dataclasses import replace

import numpy as np

from services.common.recipe import DEFAULT_RECIPE
from training.augment.slices import RandomSlice
from training.options.augment import SliceAugment

NONE = SliceAugment(flip=False, shift=0, scale=0, turn_degrees=0, window_hu=0, window_width=0)


def _pictures() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


def _augmented(options: SliceAugment, seed: int = 1) -> np.ndarray:
    return np.asarray(RandomSlice(options, seed=seed)(_pictures(), training=True))


def test_without_changes_pictures_stay() -> None:
    np.testing.assert_allclose(_augmented(NONE), _pictures(), atol=1e-3)


def test_outside_of_training_pictures_stay() -> None:
    np.testing.assert_array_equal(RandomSlice(SliceAugment(), seed=0)(_pictures()), _pictures())


def test_the_same_seed_gives_the_same_pictures() -> None:
    np.testing.assert_array_equal(_augmented(SliceAugment()), _augmented(SliceAugment()))
    assert np.abs(_augmented(SliceAugment()) - _augmented(SliceAugment(), seed=2)).max() > 1


def test_every_call_and_every_picture_is_drawn_anew() -> None:
    layer = RandomSlice(SliceAugment(), seed=1)
    same = np.repeat(_pictures()[:1], 3, axis=0)
    first, second = (np.asarray(layer(same, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1
    assert np.abs(first[0] - first[1]).max() > 1


def test_a_flip_mirrors_about_half_of_the_pictures() -> None:
    pictures = np.repeat(_pictures()[:1], 60, axis=0)
    flipped = np.asarray(RandomSlice(replace(NONE, flip=True), seed=0)(pictures, training=True))
    mirrored = [np.allclose(one, pictures[0][:, ::-1], atol=1e-2) for one in flipped]
    assert 15 < sum(mirrored) < 45
    assert all(
        mirror or np.allclose(one, pictures[0], atol=1e-2) for mirror, one in zip(mirrored, flipped, strict=True)
    )


def test_levels_stay_levels() -> None:
    seen = _augmented(SliceAugment())
    assert seen.min() >= 0
    assert seen.max() <= 255


def test_windows_move_together_in_hounsfield_units() -> None:
    pictures = np.full((1, 4, 4, 3), 100, np.uint8)
    seen = np.asarray(RandomSlice(replace(NONE, window_hu=10), seed=3)(pictures, training=True))[0, 0, 0]
    moved_hu = (seen - 100) * [window.width_hu / 255 for window in DEFAULT_RECIPE.windows]
    np.testing.assert_allclose(moved_hu, moved_hu[0], rtol=1e-3)
    assert 0.01 < abs(moved_hu[0]) <= 10
