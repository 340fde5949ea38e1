import keras
import numpy as np
import pytest

from training.networks.backbones import lite0, load_lite0, small
from training.networks.imagenet import Weights, lite0_weights

SIDE = 64


def _lite0() -> keras.Model:
    pictures = keras.Input((SIDE, SIDE, 3))
    return keras.Model(pictures, lite0(pictures))


def test_maps_are_an_eighth_a_sixteenth_and_a_32nd_of_the_picture() -> None:
    pictures = keras.Input((SIDE, SIDE, 3))
    sides = [SIDE // 8, SIDE // 16, SIDE // 32]
    assert [level.shape[1:] for level in small(pictures, (4, 4, 6, 8, 10))] == [
        (side, side, width) for side, width in zip(sides, (6, 8, 10), strict=True)
    ]
    assert [level.shape[1:] for level in lite0(pictures)] == [
        (side, side, width) for side, width in zip(sides, (40, 112, 320), strict=True)
    ]


def test_every_convolution_and_normalisation_of_lite0_gets_weights() -> None:
    model = _lite0()
    for variable in model.variables:
        variable.assign(np.full(variable.shape, np.nan))
    load_lite0(model)
    assert all(np.isfinite(np.asarray(variable)).all() for variable in model.variables)


def test_given_weights_replace_those_of_the_wheel() -> None:
    model = _lite0()
    doubled: Weights = {name: values * 2 for name, values in lite0_weights().items()}
    load_lite0(model, doubled)
    stem = np.asarray(model.get_layer("lite0_conv_stem").kernel)
    np.testing.assert_array_equal(stem, np.transpose(doubled["_conv_stem.weight"], (2, 3, 1, 0)))


def test_a_missing_weight_is_named() -> None:
    weights = lite0_weights()
    del weights["_blocks.0._depthwise_conv.weight"]
    with pytest.raises(KeyError, match="_depthwise_conv"):
        load_lite0(_lite0(), weights)
