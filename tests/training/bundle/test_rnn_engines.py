"""The exported RNN of every configuration, on both engines."""

from pathlib import Path

import numpy as np
import pytest

from services.rnn.model import OpenVinoScorer, SavedModelScorer
from tests.training.small_networks import small_cnn
from training.bundle.export import save_networks
from training.configs import default, rsna, smoke, source
from training.networks.rnn import RnnShape, build_rnn
from training.networks.source_rnn import SourceShape, build_source_rnn

SHAPES: dict[str, RnnShape | SourceShape] = {
    "default": default.CONFIG.rnn_shape,
    "rsna": rsna.CONFIG.rnn_shape,
    "smoke": smoke.CONFIG.rnn_shape,
    "source": source.CONFIG.rnn_shape,
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_rnn_of_every_configuration_runs_on_both_engines(name: str, tmp_path: Path) -> None:
    cnn, shape, rng = small_cnn(), SHAPES[name], np.random.default_rng(0)
    features = rng.normal(0, 1, (50, cnn.last.kernel.shape[0])).astype(np.float32)
    if isinstance(shape, SourceShape):
        save_networks(tmp_path, cnn, build_source_rnn(shape, features))
    else:
        save_networks(tmp_path, cnn, build_rnn(shape, cnn.last, features))
    engines = [engine(tmp_path / "rnn" / "1") for engine in (SavedModelScorer, OpenVinoScorer)]
    for length in (1, 2, 50):
        position_mm = np.arange(length, dtype=np.float32) * 5
        tensorflow, openvino = (engine.score(features[:length], position_mm) for engine in engines)
        for expected, found in zip(tensorflow, openvino, strict=True):
            assert expected.shape == found.shape
            assert np.abs(expected - found).max() < 1e-4
