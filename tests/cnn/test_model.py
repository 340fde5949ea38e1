from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from services.cnn.model import SavedModelExtractor
from services.common.saved_model import GpuNotFound, configure_device


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with the signature of a bundle's CNN: the mean of each channel."""

    class Mean(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.scale = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 512, 512, 3), tf.uint8, name="slices")])  # type: ignore[untyped-decorator]
        def serve(self, slices: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"features": self.scale * tf.reduce_mean(tf.cast(slices, tf.float32), axis=(1, 2))}

    path = tmp_path_factory.mktemp("cnn") / "1"
    module = Mean()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    return path


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_saved_model_extracts_any_number_of_slices(folder: Path, count: int) -> None:
    slices = np.random.default_rng(count).integers(0, 256, (count, 512, 512, 3), np.uint8)
    features = SavedModelExtractor(folder).extract(slices)["features"]
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, 2 * slices.mean(axis=(1, 2)), rtol=1e-4)


def test_a_missing_gpu_stops_the_start() -> None:
    assert configure_device("cpu") == "cpu"
    if not tf.config.list_physical_devices("GPU"):
        with pytest.raises(GpuNotFound):
            configure_device("gpu")
