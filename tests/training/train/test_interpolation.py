from pathlib import Path

import numpy as np
import pytest

from tests.training.small_networks import small_cnn
from training.configs.default import CONFIG
from training.io.errors import TrainingError
from training.networks.cnn import build_cnn, weights
from training.train.bundle_weights import begin_from
from training.train.interpolation import interpolate_weights

BUNDLE = Path("models/default")


def test_weights_lie_between_a_networks_own_and_the_bundles() -> None:
    cnn = build_cnn(CONFIG.cnn_shape)
    own = [variable.numpy() for variable in weights(cnn)]
    assert interpolate_weights(cnn, BUNDLE, 0.25).folder == BUNDLE
    mixed = [variable.numpy() for variable in weights(cnn)]
    begin_from(BUNDLE, cnn)
    for first, second, third in zip(own, mixed, weights(cnn), strict=True):
        np.testing.assert_allclose(second, 0.75 * first + 0.25 * third.numpy(), rtol=1e-5, atol=1e-6)


def test_a_network_of_another_shape_is_refused_and_left_as_it_was() -> None:
    cnn = small_cnn()
    own = [variable.numpy() for variable in weights(cnn)]
    with pytest.raises(TrainingError, match="'default'"):
        interpolate_weights(cnn, BUNDLE, 0.25)
    for first, second in zip(own, weights(cnn), strict=True):
        np.testing.assert_array_equal(first, second)
