from types import SimpleNamespace
from typing import Any, cast

import keras
import numpy as np
import pytest

from services.common.labels import LABELS
from training.io.errors import TrainingError
from training.networks.classifier import (
    ClassifierShape,
    Standardise,
    build_classifier,
    builder_of,
    enter,
    predict_logits,
)
from training.networks.cnn import Cnn


class _Trunk:
    """Features of a picture: the mean of each channel."""

    def __init__(self, side: int, channels: int) -> None:
        self.input_shape = (None, side, side, channels)

    def predict_on_batch(self, pictures: Any) -> Any:
        return [np.asarray(pictures).mean(axis=(1, 2))]


def _cnn(side: int, channels: int) -> Cnn:
    kernel = np.arange(channels * len(LABELS), dtype=np.float32).reshape(channels, -1)
    last = SimpleNamespace(kernel=kernel, bias=np.full(len(LABELS), 0.5, np.float32))
    return cast("Cnn", SimpleNamespace(trunk=_Trunk(side, channels), last=last))


def test_pictures_of_the_trunks_side_enter_as_they_are() -> None:
    pictures = np.ones((2, 8, 8, 3), np.float32)
    assert enter(_cnn(8, 3), pictures) is pictures


def test_larger_pictures_are_halved_and_lose_the_channels_that_the_trunk_lacks() -> None:
    pictures = np.zeros((1, 8, 8, 3), np.uint8)
    pictures[0, :2, :2] = [[[4, 40, 9], [0, 0, 9]], [[0, 0, 9], [0, 0, 9]]]
    entered = np.asarray(enter(_cnn(4, 2), pictures))
    assert entered.shape == (1, 4, 4, 2)
    np.testing.assert_array_equal(entered[0, 0, 0], [1, 10])
    assert entered.sum() == 11


def test_logits_are_the_last_layers_of_the_features() -> None:
    slices = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    cnn = _cnn(8, 3)
    logits = predict_logits(cnn, slices)
    expected = slices.mean(axis=(1, 2)) @ np.asarray(cnn.last.kernel) + 0.5
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    assert logits.dtype == np.float32


@pytest.mark.parametrize("name", ["densenet121", "DenseNet121", "efficientnetv2-b0"])
def test_a_backbone_is_found_by_its_name_in_keras(name: str) -> None:
    assert builder_of(name).__name__.lower() == name.lower().replace("-", "")


def test_an_unknown_backbone_lists_those_to_use() -> None:
    with pytest.raises(
        TrainingError,
        match=r"no backbone resnet9000; use one of brain-lite0, brain-small, efficientnet-lite0, .*densenet121",
    ):
        builder_of("resnet9000")


def test_a_network_that_cannot_be_built_leaves_the_precision_of_others() -> None:
    before = keras.config.dtype_policy().name
    with pytest.raises(TrainingError):
        build_classifier(ClassifierShape("resnet9000"), "mixed_bfloat16")
    assert keras.config.dtype_policy().name == before


def test_levels_of_lite0_are_scaled_from_minus_one_to_one() -> None:
    levels = np.array([0.0, 127.5, 255.0], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(np.asarray(Standardise("efficientnet-lite0")(levels)).ravel(), [-1, 0, 1])
