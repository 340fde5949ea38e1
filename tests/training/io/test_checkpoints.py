from pathlib import Path

import numpy as np
import pytest

from training.io.checkpoints import assign, restore, save, write_arrays
from training.io.errors import TrainingError


class Variable:
    """A variable as Keras', without Keras."""

    def __init__(self, value: object) -> None:
        self.value = np.asarray(value, np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = value


def test_variables_and_numbers_come_back(tmp_path: Path) -> None:
    written = [Variable([1, 2]), Variable([[3]]), *(Variable(number) for number in range(10))]
    save(tmp_path / "new" / "a.npz", written, step=7, loss=0.25)
    read = [Variable(np.zeros(variable.shape)) for variable in written]
    assert restore(tmp_path / "new" / "a.npz", read) == {"step": 7, "loss": 0.25}
    for one, two in zip(written, read, strict=True):
        np.testing.assert_array_equal(one.value, two.value)


def test_a_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", [Variable([1])])
    save(tmp_path / "a.npz", [Variable([2])])
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("values", [[np.zeros(3)], [np.zeros(2), np.zeros(2)], []])
def test_other_shapes_are_an_error_and_nothing_is_assigned(values: list[np.ndarray]) -> None:
    variables = [Variable([1, 2])]
    with pytest.raises(TrainingError, match=r"a\.npz holds the weights of another network"):
        assign(variables, values, "a.npz")
    np.testing.assert_array_equal(variables[0].value, [1, 2])


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04"])
def test_a_damaged_file_is_an_error_with_its_name(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(TrainingError, match=r"a\.npz is damaged or holds no weights"):
        restore(tmp_path / "a.npz", [])


def test_a_missing_variable_is_a_damaged_file(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {"0": np.zeros(1), "2": np.zeros(1)})
    with pytest.raises(TrainingError, match="is damaged"):
        restore(tmp_path / "a.npz", [Variable([0]), Variable([0])])
