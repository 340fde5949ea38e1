import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from services.common.numpy_tensors import array_tensor, read_array
from services.common.problems import BadRequest
from services.common.tensors import Message


@given(
    st_np.arrays(
        st.sampled_from([np.uint8, np.int32, np.float32]), st_np.array_shapes(min_dims=1, max_dims=3, min_side=0)
    )
)
def test_an_array_survives_the_round_trip(array: np.ndarray) -> None:
    tensor = array_tensor("x", array)
    back = read_array(Message((tensor,)), "x", tensor.datatype, tuple(None for _ in array.shape))
    np.testing.assert_array_equal(back, array)


def test_an_array_is_not_copied() -> None:
    array = np.zeros((4, 4), np.float32)
    back = read_array(Message((array_tensor("x", array),)), "x", "FP32", (None, 4))
    assert np.shares_memory(back, array)


@pytest.mark.parametrize("shape", [(2,), (2, 2), (3, 2, 1), (None, None, None)])
def test_another_shape_is_refused(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(BadRequest):
        read_array(Message((array_tensor("x", np.zeros((3, 2), np.float32)),)), "x", "FP32", shape)


def test_a_missing_tensor_and_another_datatype_are_refused() -> None:
    message = Message((array_tensor("x", np.zeros(3, np.float32)),))
    for name, datatype in (("y", "FP32"), ("x", "UINT8")):
        with pytest.raises(BadRequest):
            read_array(message, name, datatype, (None,))
