"""Features on OpenVINO are those of TensorFlow; a graph that OpenVINO refuses stays on TensorFlow."""

import logging
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.small_networks import fit_normalisation, small_cnn
from training.networks.feature_engine import feature_engine


@pytest.fixture(scope="module")
def slices() -> Any:
    return np.random.default_rng(1).integers(0, 256, (5, 512, 512, 3), dtype=np.uint8)


def test_features_on_openvino_are_those_of_tensorflow(slices: Any, caplog: pytest.LogCaptureFixture) -> None:
    model = small_cnn().serving
    fit_normalisation(model, slices)
    with caplog.at_level(logging.INFO, "training.networks.feature_engine"):
        engine = feature_engine(model)
    assert "TensorFlow computes features" not in caplog.text  # OpenVINO was taken
    expected = np.asarray(model(slices, training=False)[0])
    np.testing.assert_allclose(engine(slices), expected, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


def test_tensorflow_computes_a_graph_that_openvino_refuses(slices: Any, caplog: pytest.LogCaptureFixture) -> None:
    rows = keras.Input((512, 512, 3), dtype="uint8")
    resized = keras.layers.Lambda(lambda x: tf.image.resize(x, (4, 4), antialias=True))(rows)
    with caplog.at_level(logging.INFO, "training.networks.feature_engine"):
        engine = feature_engine(keras.Model(rows, resized))
    assert "TensorFlow computes features: OpenVINO cannot convert" in caplog.text
    np.testing.assert_allclose(engine(slices), tf.image.resize(slices, (4, 4), antialias=True), atol=1e-3)
