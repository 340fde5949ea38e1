from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from services.rnn.model import SavedModelScorer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with the signature of a bundle's RNN: slices score their first six features plus their position."""

    class Sum(tf.Module):  # type: ignore[misc]
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec((None, 8), tf.float32, name="features"),
                tf.TensorSpec((None,), tf.float32, name="position_mm"),
            ]
        )
        def serve(self, features: tf.Tensor, position_mm: tf.Tensor) -> dict[str, tf.Tensor]:
            slices = features[:, :6] + position_mm[:, None]
            return {"slice_probabilities": slices, "series_probabilities": tf.reduce_max(slices, axis=0)}

    path = tmp_path_factory.mktemp("rnn") / "1"
    module = Sum()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    return path


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_saved_model_scores_series_of_any_length(folder: Path, count: int) -> None:
    features = np.random.default_rng(count).random((count, 8), np.float32)
    position_mm = np.arange(count, dtype=np.float32)

    slices, series = SavedModelScorer(folder).score(features, position_mm)

    np.testing.assert_allclose(slices, features[:, :6] + position_mm[:, None], rtol=1e-6)
    np.testing.assert_allclose(series, slices.max(axis=0))
