from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.numpy_tensors import array_tensor, read_array
from services.common.problems import BadRequest
from services.common.tensors import Message
from services.rnn.app import BundleMismatch, RnnModel
from tests.bundles import FEATURE_SIZE, fake_bundle

Floats = NDArray[np.float32]


class Position:
    """Scores equal to the positions."""

    def score(self, features: Floats, position_mm: Floats) -> tuple[Floats, Floats]:
        assert features.shape[1] == FEATURE_SIZE
        return np.repeat(position_mm[:, None], 6, axis=1), np.full(6, position_mm.max(), np.float32)


@pytest.fixture
def model(tmp_path: Path) -> RnnModel:
    return RnnModel(Position(), fake_bundle(tmp_path))


def _series(slices: int, positions: int | None = None, width: int = FEATURE_SIZE, **parameters: str) -> Message:
    features = array_tensor("features", np.zeros((slices, width), np.float32))
    position_mm = array_tensor("position_mm", np.arange(slices if positions is None else positions, dtype=np.float32))
    return Message((features, position_mm), parameters)


def test_slices_and_series_are_scored(model: RnnModel) -> None:
    answer = model.infer(_series(3))
    assert read_array(answer, "slice_probabilities", "FP32", (3, 6))[2, 0] == 2
    assert read_array(answer, "series_probabilities", "FP32", (6,))[0] == 2
    assert model.count_slices(_series(3)) == 3


@pytest.mark.parametrize("message", [_series(0), _series(3, positions=2), _series(3, width=FEATURE_SIZE + 1)])
def test_mismatched_sizes_are_refused(model: RnnModel, message: Message) -> None:
    with pytest.raises(BadRequest):
        model.infer(message)


def test_features_of_another_bundle_are_refused(model: RnnModel) -> None:
    model.infer(_series(1, card_sha256=model.parameters["card_sha256"]))
    with pytest.raises(BundleMismatch) as caught:
        model.infer(_series(1, card_sha256="another"))
    assert caught.value.status == 409


def test_the_metadata_hold_the_card(model: RnnModel) -> None:
    assert model.parameters["card"]["name"] == "fake"
    model.infer(model.example())
