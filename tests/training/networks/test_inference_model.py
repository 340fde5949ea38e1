"""The exported form of every configuration's CNN, on both engines, against the Keras model in training."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from services.cnn.engines import OpenVinoExtractor
from services.cnn.extractor import FeatureExtractor
from services.cnn.model import SavedModelExtractor
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.pipeline import Pipeline
from tests.running import ROOT
from tests.training.small_networks import fit_normalisation, small_rnn
from training.bundle.export import OUTPUTS, save_networks
from training.configs import default, rsna, smoke, source
from training.configs.config import Config
from training.networks.classifier import ClassifierShape, build_classifier
from training.networks.cnn import Cnn, build_cnn
from training.networks.inference_model import AntialiasedResizing, inference_model
from training.train.initial_weights import initialise

CONFIGS = {"default": default.CONFIG, "rsna": rsna.CONFIG, "smoke": smoke.CONFIG, "source": source.CONFIG}
SMALLER = {"efficientnetv2m": "efficientnetv2b0", "resnet101": "resnet50"}
ENGINES: tuple[Callable[[Path], FeatureExtractor], ...] = (SavedModelExtractor, OpenVinoExtractor)
TOLERANCE = 1e-4  # of the largest value


@pytest.fixture(scope="module")
def slices() -> NDArray[np.uint8]:
    """Two slices of the sample series."""
    files = [(ROOT / "samples" / "series" / f"{number}.dcm").read_bytes() for number in (10, 18)]
    with Pipeline(DEFAULT_RECIPE, threads=1) as pipeline:
        return pipeline.make_slices(files, np.array([(0, 0), (1, 0)], np.int32)).slices


def _cnn(config: Config, slices: NDArray[np.uint8]) -> Cnn:
    """The network of a configuration; of the same family with fewer layers, where it has more than 100."""
    keras.utils.set_random_seed(0)
    shape = config.cnn_shape
    if not isinstance(shape, ClassifierShape):
        return build_cnn(shape)
    cnn = build_classifier(replace(shape, backbone=SMALLER.get(shape.backbone, shape.backbone)))
    if config.cnn.init == "wheel":
        initialise(cnn, shape, "wheel")
    else:
        fit_normalisation(cnn.serving, slices)
    return cnn


def _assert_close(found: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert np.abs(expected - np.asarray(found)).max() < TOLERANCE * np.abs(expected).max()


def _nodes(folder: Path) -> list[Any]:
    graph = tf.saved_model.load(str(folder)).signatures["serving_default"].graph.as_graph_def()
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


@pytest.mark.parametrize(
    "name",
    ["smoke", "default", *(pytest.param(name, marks=pytest.mark.train) for name in ("rsna", "source"))],
)
def test_the_bundle_of_every_configuration_runs_on_both_engines(
    name: str, slices: NDArray[np.uint8], tmp_path: Path
) -> None:
    cnn = _cnn(CONFIGS[name], slices)
    save_networks(tmp_path, cnn, small_rnn(cnn))
    expected = dict(zip(OUTPUTS, keras.tree.flatten(cnn.serving(slices, training=False)), strict=False))
    for engine in ENGINES:
        outputs = engine(tmp_path / "cnn" / "1").extract(slices)
        assert outputs.keys() == expected.keys()
        for output, value in expected.items():
            _assert_close(outputs[output], value)
    nodes = _nodes(tmp_path / "cnn" / "1")
    assert not [node.name for node in nodes if "batchnorm" in node.name or node.op == "ScaleAndTranslate"]
    assert sum(node.op == "BiasAdd" for node in nodes) >= sum(node.op == "Rsqrt" for node in nodes) > 10


def _small(*steps: Any) -> keras.Model:
    x = inputs = keras.Input((16, 16, 4))
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x)


CHAINS: dict[str, tuple[Any, ...]] = {
    "bias": (layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization()),
    "stride and dilation": (
        layers.Conv2D(6, 3, strides=2, use_bias=False),
        layers.BatchNormalization(scale=False),
        layers.Conv2D(6, 3, dilation_rate=2, groups=2),
        layers.BatchNormalization(center=False),
    ),
    "depth multiplier": (layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization()),
    "no scale, no offset": (layers.Conv2D(6, 1), layers.BatchNormalization(scale=False, center=False)),
}
UNFOLDED: dict[str, tuple[Any, ...]] = {
    "activation between": (layers.Conv2D(6, 3, activation="relu"), layers.BatchNormalization()),
    "no convolution": (layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(6, 3)),
}


@pytest.mark.parametrize("chain", [*CHAINS, *UNFOLDED])
def test_a_folded_normalisation_computes_the_same(chain: str) -> None:
    model = _small(*(CHAINS | UNFOLDED)[chain])
    x = np.random.default_rng(0).normal(0, 1, (3, 16, 16, 4)).astype(np.float32)
    fit_normalisation(model, x)
    exported = inference_model(model)
    kinds = [type(layer).__name__ for layer in exported.layers]
    assert ("BatchNormalization" in kinds) == (chain in UNFOLDED)
    _assert_close(exported(x), model(x, training=False))


def test_a_convolution_whose_output_is_used_twice_is_computed_for_both() -> None:
    inputs = keras.Input((8, 8, 3))
    convolved = layers.Conv2D(3, 3)(inputs)
    model = keras.Model(inputs, layers.BatchNormalization()(convolved) + convolved)
    x = np.random.default_rng(0).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
    fit_normalisation(model, x)
    _assert_close(inference_model(model)(x), model(x, training=False))


def test_the_trained_model_stays_and_is_exported_again() -> None:
    model = _small(*CHAINS["bias"])
    before = [(variable.path, variable.trainable) for variable in model.variables]
    x = np.ones((1, 16, 16, 4), np.float32)
    first, second = inference_model(model)(x), inference_model(model)(x)
    np.testing.assert_array_equal(first, second)
    assert [(variable.path, variable.trainable) for variable in model.variables] == before
    assert "BatchNormalization" in [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize(("rows", "columns"), [(96, 96), (7, 200), (300, 512), (600, 1)])
def test_resizing_is_that_of_keras(rows: int, columns: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 512, 512, 3)).astype(np.float32)
    expected = layers.Resizing(rows, columns, antialias=True)(pictures)
    _assert_close(AntialiasedResizing(rows, columns)(pictures), expected)
