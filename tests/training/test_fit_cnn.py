import numpy as np
import pytest

from tests.training.networks import SMALL_SHAPE
from training.fit_cnn import CnnFit, batches, features, fit_cnn
from training.pictures import GRID, Pictures


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Forty pictures; every second one has a bright cell, and blood in it."""
    rng, count = np.random.default_rng(0), 40
    small = np.zeros((count, 256, 256, 2), np.uint8)
    blood = np.zeros((count, GRID, GRID, 5), np.uint8)
    for index in range(0, count, 2):
        row, column = rng.integers(8, 24, 2)
        small[index, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
        blood[index, row, column, 1] = 255
    labels = np.zeros((count, 6), bool)
    labels[::2, (0, 2)] = True
    zeros = np.zeros(count, np.int32)
    return Pictures(small, labels, np.ones_like(labels), blood, zeros.astype(np.float32), zeros, zeros)


def test_half_of_a_batch_has_blood_and_the_grid_moves_with_the_picture(pictures: Pictures) -> None:
    source = batches(pictures, CnnFit(steps=1, batch=16))
    for _ in range(6):
        small, labels, _, blood = next(source)
        assert labels[:, 0].sum() == 8
        cells = small[..., 0].reshape(16, GRID, 8, GRID, 8).mean(axis=(2, 4))
        np.testing.assert_array_equal(cells, blood[..., 1])


def test_a_short_training_gives_finite_features(pictures: Pictures) -> None:
    cnn = fit_cnn(SMALL_SHAPE, CnnFit(steps=3, batch=8), pictures)
    found = features(cnn, pictures.small, batch=16)
    assert found.shape == (40, cnn.last.kernel.shape[0])
    assert np.isfinite(found).all()
