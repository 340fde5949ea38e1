from pathlib import Path

import numpy as np
import pytest

from tests.training.small_networks import SMALL_SHAPE, small_cnn
from training.configs.default import CONFIG
from training.io.errors import TrainingError
from training.networks.cnn import build_cnn, weights
from training.train.bundle_weights import begin_from, keep_weights
from training.train.phantom_cnn import begin_from_weights

BUNDLE = Path("models/default")


def test_a_network_begins_as_the_bundles_own() -> None:
    one, two = build_cnn(CONFIG.cnn_shape), build_cnn(CONFIG.cnn_shape)
    assert begin_from(BUNDLE, one).folder == BUNDLE
    begin_from(BUNDLE, two)
    small = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 2), dtype=np.uint8)
    for first, second in zip(one.trunk(small, training=False), two.trunk(small, training=False), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.last.kernel, two.last.kernel)
    assert np.abs(one.last.bias).max() > 0


def test_weights_kept_alone_are_the_bundles_own(tmp_path: Path) -> None:
    keep_weights(BUNDLE, CONFIG.cnn_shape, tmp_path / "runs" / "weights.npz")
    one, two = build_cnn(CONFIG.cnn_shape), build_cnn(CONFIG.cnn_shape)
    begin_from(BUNDLE, one)
    begin_from_weights(tmp_path / "runs" / "weights.npz", two)
    for first, second in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("data", [b"", b"no weights", b"PK\x03\x04 cut short"])
def test_weights_that_are_broken_are_refused_by_their_name(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(data)
    with pytest.raises(TrainingError, match=r"weights\.npz is damaged"):
        begin_from_weights(tmp_path / "weights.npz", small_cnn())


def test_a_network_of_another_shape_is_refused() -> None:
    assert build_cnn(SMALL_SHAPE).last.kernel.shape != (256, 6)
    with pytest.raises(TrainingError, match="'default'"):
        begin_from(BUNDLE, small_cnn())


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        begin_from(tmp_path, small_cnn())
