"""Small networks with random weights, for tests of shape and form. They have learnt nothing and are served nowhere."""

from typing import Final

import keras
import numpy as np

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
