"""Small networks with random weights, for tests of shape and form. They have learnt nothing and are served nowhere."""

from typing import Any, Final

import keras
import numpy as np
from keras import layers

from training.networks.cnn import Cnn, CnnShape, build_cnn
from training.networks.rnn import Rnn, RnnShape, build_rnn

SMALL_SHAPE: Final = CnnShape(widths=(4, 4, 4, 8, 8), neck=4, features=8)
SMALL_RNN: Final = RnnShape(width=8, state=6)


def small_cnn() -> Cnn:
    keras.utils.set_random_seed(0)
    return build_cnn(SMALL_SHAPE)


def small_rnn(cnn: Cnn) -> Rnn:
    keras.utils.set_random_seed(0)
    features = np.random.default_rng(0).normal(0, 1, (50, cnn.last.kernel.shape[0])).astype(np.float32)
    return build_rnn(SMALL_RNN, cnn.last, features)


def fit_normalisation(model: keras.Model, values: Any) -> None:
    """Draw the weights of batch normalisations, and set their statistics to those of `values`.

    With the initial statistics a deep network multiplies rounding errors until its outputs mean nothing.
    """
    rng = np.random.default_rng(0)
    normalisations = [each for each in model._flatten_layers() if isinstance(each, layers.BatchNormalization)]
    momentum = [each.momentum for each in normalisations]
    for each in normalisations:
        each.momentum = 0.0
        for variable, mean in ((each.gamma, 1.0), (each.beta, 0.0)):
            if variable is not None:
                variable.assign(rng.normal(mean, 0.1, variable.shape))
    model(values, training=True)
    for each, before in zip(normalisations, momentum, strict=True):
        each.momentum = before
