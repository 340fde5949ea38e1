import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.preprocess.slab_averaging import InvalidSlabs, SliceMean, slab_rows


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=40))
def test_the_mean_is_rounded_and_independent_of_order(values: list[int]) -> None:
    mean, backwards = SliceMean(1, 2), SliceMean(1, 2)
    for value in values:
        mean.add(np.full((1, 2), value, np.int16))
    for value in reversed(values):
        backwards.add(np.full((1, 2), value, np.int16))
    assert mean.hu().dtype == np.int16
    assert mean.hu().tolist() == backwards.hu().tolist() == [[round(sum(values) / len(values))] * 2]


def test_rows_of_slabs() -> None:
    assert slab_rows(np.array([0, 0, 0, 1, 2, 2], np.int32)) == [range(3), range(3, 4), range(4, 6)]
    assert slab_rows(np.array([], np.int32)) == []


@pytest.mark.parametrize("slabs", [[1], [0, 2], [0, 1, 0], [-1, 0], [0, 0, -1]])
def test_slabs_that_do_not_ascend_from_0_are_refused(slabs: list[int]) -> None:
    with pytest.raises(InvalidSlabs, match="ascend from 0"):
        slab_rows(np.array(slabs, np.int32))
