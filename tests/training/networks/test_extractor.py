from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.networks.extractor import in_chunks


@given(rows=st.integers(1, 40), size=st.integers(1, 50))
def test_chunks_keep_the_order_of_rows_and_none_is_larger_than_asked(rows: int, size: int) -> None:
    sizes: list[int] = []

    def double(part: NDArray[Any]) -> NDArray[Any]:
        sizes.append(len(part))
        return 2 * part

    numbers = np.arange(3 * rows).reshape(rows, 3)
    np.testing.assert_array_equal(in_chunks(double, numbers, size), 2 * numbers)
    assert max(sizes) <= size
    assert len(sizes) == -(-rows // size)
