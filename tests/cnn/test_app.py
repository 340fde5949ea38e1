from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.cnn.app import CnnModel, RecipeMismatch
from services.common.arrays import array_tensor, read_array
from services.common.problems import MalformedRequest
from services.common.tensors import Message
from tests.bundles import FEATURE_SIZE, fake_bundle


class Counter:
    def extract(self, slices: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((len(slices), FEATURE_SIZE), slices[:, 0, 0, 0].sum(), np.float32)


@pytest.fixture
def model(tmp_path: Path) -> CnnModel:
    return CnnModel(Counter(), fake_bundle(tmp_path))


def _slices(count: int) -> Message:
    return Message((array_tensor("slices", np.ones((count, 512, 512, 3), np.uint8)),))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_one_row_a_slice(model: CnnModel, count: int) -> None:
    features = read_array(model.infer(_slices(count)), "features", "FP32", (count, FEATURE_SIZE))
    assert (features == count).all()
    assert model.slices(_slices(count)) == count


def test_pixels_of_another_recipe_are_refused(model: CnnModel) -> None:
    slices = _slices(1).tensors
    model.infer(Message(slices, {"recipe": model.parameters["recipe"]}))
    with pytest.raises(RecipeMismatch) as caught:
        model.infer(Message(slices, {"recipe": "another"}))
    assert caught.value.status == 409


def test_slices_of_another_size_are_refused(model: CnnModel) -> None:
    with pytest.raises(MalformedRequest):
        model.infer(Message((array_tensor("slices", np.ones((1, 256, 256, 3), np.uint8)),)))


def test_its_example_is_answered(model: CnnModel) -> None:
    assert model.infer(model.example()).parameters == model.parameters
