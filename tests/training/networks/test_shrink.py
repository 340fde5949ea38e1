from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from services.cnn.engines import OpenVinoExtractor
from services.cnn.extractor import FeatureExtractor
from services.cnn.model import SavedModelExtractor
from training.networks.cnn import Shrink
from training.networks.shrink import shrink


def _all_values() -> Iterator[NDArray[np.uint8]]:
    """Pictures of 65,536 blocks of four pixels: every pair of values, beside every sum of the other two."""
    pairs = np.stack(np.divmod(np.arange(65_536), 256), axis=-1).reshape(256, 256, 2).astype(np.uint8)
    for total in range(2 * 255 + 1):
        blocks = np.empty((256, 256, 4), np.uint8)
        blocks[..., :2], blocks[..., 2], blocks[..., 3] = pairs, min(total, 255), max(total - 255, 0)
        rolled = np.roll(blocks, total, axis=-1).reshape(256, 256, 2, 2)
        plane = rolled.transpose(0, 2, 1, 3).reshape(512, 512)
        yield np.stack([plane, plane[::-1], np.full_like(plane, 255)], axis=-1)


def test_numpy_and_the_graph_give_the_same_levels_for_all_pairs_of_values_and_sums_of_others() -> None:
    call = tf.function(Shrink().call)
    for picture in _all_values():
        expected = shrink(picture[None].astype(np.int32))
        np.testing.assert_array_equal(expected, call(tf.constant(picture[None])).numpy())


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, module = tmp_path_factory.mktemp("shrink") / "1", tf.Module()
    signature = [tf.TensorSpec((None, 512, 512, 3), tf.uint8, name="slices")]
    call = tf.function(lambda slices: {"small": Shrink()(slices)}, input_signature=signature)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": call.get_concrete_function()})
    return folder


@pytest.mark.parametrize("engine", [SavedModelExtractor, OpenVinoExtractor])
def test_both_engines_give_the_same_levels(engine: Callable[[Path], FeatureExtractor], saved_model: Path) -> None:
    slices = np.random.default_rng(0).integers(0, 256, (4, 512, 512, 3), dtype=np.uint8)
    found = engine(saved_model).extract(slices)["small"]
    np.testing.assert_array_equal(shrink(slices.astype(np.int32)), found)


def test_the_mean_of_four_pixels() -> None:
    slices = np.zeros((1, 512, 512, 3), np.int32)
    slices[0, 0, 0], slices[0, 1, 1] = (10, 20, 30), (11, 21, 31)
    np.testing.assert_array_equal(shrink(slices)[0, 0, 0], [5, 10])
