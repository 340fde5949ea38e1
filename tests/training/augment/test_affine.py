import numpy as np
import pytest
from numpy.typing import NDArray

from training.augment.affine import RandomAffine, transformed
from training.data.stream import CELL


def _spot() -> NDArray[np.uint8]:
    small = np.zeros((8, 256, 256, 2), np.uint8)
    small[:, 72:96, 152:184] = 200
    return small


def _middle(pictures: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row and column of each picture's centre of mass, (n, 2)."""
    weight = pictures[..., 0] / pictures[..., 0].sum(axis=(1, 2), keepdims=True)
    places = np.arange(pictures.shape[1])
    return np.stack([(weight.sum(axis=2) * places).sum(axis=1), (weight.sum(axis=1) * places).sum(axis=1)], axis=1)


def test_pictures_are_left_as_they_are_outside_of_training() -> None:
    pictures, ways = RandomAffine(most_deg=15, seed=0)(_spot())
    np.testing.assert_array_equal(pictures, _spot())
    np.testing.assert_array_equal(ways, np.stack([np.eye(2)] * 8))


def test_every_picture_is_turned_in_its_own_way_and_the_same_for_the_same_seed() -> None:
    one, two = (np.asarray(RandomAffine(most_deg=15, seed=5)(_spot(), training=True)[0]) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert np.linalg.norm(np.diff(_middle(one), axis=0), axis=1).min() > 0.5
    assert np.linalg.norm(_middle(one) - _middle(_spot().astype(np.float32)), axis=1).max() < 40


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    quarter = np.tile(np.array([[0, -1], [1, 0]], np.float32), (8, 1, 1))
    whole = np.asarray(transformed(_spot().astype(np.float32), quarter))
    assert any(np.allclose(whole, np.rot90(_spot(), way, axes=(1, 2)), atol=1e-2) for way in (1, 3))


def test_a_shift_says_from_how_far_right_and_down_pixels_come() -> None:
    still, shift = np.tile(np.eye(2, dtype=np.float32), (8, 1, 1)), np.tile(np.array([5, -3], np.float32), (8, 1))
    moved = np.asarray(transformed(_spot().astype(np.float32), still, shift))
    np.testing.assert_allclose(moved, np.roll(_spot(), (3, -5), axis=(1, 2)), atol=1e-2)


def test_a_map_of_blood_is_turned_as_its_picture_is() -> None:
    pictures, ways = RandomAffine(most_deg=20, seed=3)(_spot(), training=True)
    coarse = _spot().reshape(8, 32, CELL, 32, CELL, 2).mean(axis=(2, 4)).astype(np.float32)
    places = _middle(np.asarray(transformed(coarse, ways))) * CELL + (CELL - 1) / 2
    assert _middle(np.asarray(pictures)) == pytest.approx(places, abs=1)
