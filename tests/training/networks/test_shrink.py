import numpy as np
import tensorflow as tf

from training.networks.cnn import Shrink
from training.networks.shrink import shrink


def test_numpy_and_the_graph_give_the_same() -> None:
    slices = np.random.default_rng(0).integers(0, 256, (2, 512, 512, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shrink(slices.astype(np.int32)), Shrink()(tf.constant(slices)).numpy())


def test_the_mean_of_four_pixels() -> None:
    slices = np.zeros((1, 512, 512, 3), np.int32)
    slices[0, 0, 0], slices[0, 1, 1] = (10, 20, 30), (11, 21, 31)
    np.testing.assert_array_equal(shrink(slices)[0, 0, 0], [5, 10])
