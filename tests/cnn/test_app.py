from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.cnn.app import CnnModel, RecipeMismatch
from services.common.numpy_tensors import array_tensor, read_array
from services.common.problems import BadRequest
from services.common.tensors import Message
from tests.bundles import FEATURE_SIZE, fake_bundle


class Counter:
    def extract(self, slices: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        total = slices[:, 0, 0, 0].sum()
        return {
            "features": np.full((len(slices), FEATURE_SIZE), total, np.float32),
            "blood": np.full((len(slices), 4, 4, 5), total, np.float32),
        }


@pytest.fixture
def model(tmp_path: Path) -> CnnModel:
    return CnnModel(Counter(), fake_bundle(tmp_path))


@pytest.fixture
def model_with_blood(tmp_path: Path) -> CnnModel:
    """A model whose bundle has a blood map."""
    bundle = fake_bundle(tmp_path)
    card = bundle.card.model_copy(update={"blood_grid": (4, 4)})
    return CnnModel(Counter(), bundle.model_copy(update={"card": card}))


def _slices(count: int, *wanted: str) -> Message:
    return Message((array_tensor("slices", np.ones((count, 512, 512, 3), np.uint8)),), requested_outputs=wanted)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_one_row_per_slice(model: CnnModel, count: int) -> None:
    features = read_array(model.infer(_slices(count)), "features", "FP32", (count, FEATURE_SIZE))
    assert (features == count).all()
    assert model.count_slices(_slices(count)) == count


@pytest.mark.parametrize("count", [0, 2])
def test_the_blood_map_is_an_output_on_request(model_with_blood: CnnModel, count: int) -> None:
    assert [spec.name for spec in model_with_blood.outputs] == ["features", "blood"]
    assert model_with_blood.infer(_slices(count)).find("blood") is None
    answer = model_with_blood.infer(_slices(count, "blood"))
    assert (read_array(answer, "blood", "FP32", (count, 4, 4, 5)) == count).all()


def test_a_bundle_without_a_blood_map_has_no_such_output(model: CnnModel) -> None:
    assert [spec.name for spec in model.outputs] == ["features"]
    assert model.infer(_slices(1, "blood")).find("blood") is None


def test_pixels_of_another_recipe_are_refused(model: CnnModel) -> None:
    slices = _slices(1).tensors
    model.infer(Message(slices, {"recipe": model.parameters["recipe"]}))
    with pytest.raises(RecipeMismatch) as caught:
        model.infer(Message(slices, {"recipe": "another"}))
    assert caught.value.status == 409


def test_slices_of_another_size_are_refused(model: CnnModel) -> None:
    with pytest.raises(BadRequest):
        model.infer(Message((array_tensor("slices", np.ones((1, 256, 256, 3), np.uint8)),)))


def test_the_example_is_answered(model: CnnModel) -> None:
    assert model.infer(model.example()).parameters == model.parameters
