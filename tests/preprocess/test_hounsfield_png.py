import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from PIL import Image

from services.preprocess.hounsfield_png import encode_hounsfield

SLICES = st_numpy.arrays(np.int16, st_numpy.array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(SLICES)
def test_every_value_comes_back(hu: NDArray[np.int16]) -> None:
    with Image.open(BytesIO(encode_hounsfield(hu)), formats=["PNG"]) as shown:
        shown.load()
        assert shown.mode == "I;16"
        assert (shown.info["RescaleSlope"], shown.info["RescaleIntercept"]) == ("1", "-32768")
        assert np.array_equal(np.asarray(shown).astype(np.int32) - 32768, hu)


@pytest.mark.parametrize("make", [np.transpose, np.flipud, np.fliplr])
def test_views_that_are_not_contiguous(make: object) -> None:
    hu = np.random.default_rng(1).integers(-1024, 3000, (31, 17)).astype(np.int16)
    view = make(hu)  # type: ignore[operator] # any of numpy's
    with Image.open(BytesIO(encode_hounsfield(view))) as shown:
        assert np.array_equal(np.asarray(shown).astype(np.int32) - 32768, view)


@given(st.integers(1, 60), st.integers(1, 60))
def test_chunks_are_those_of_the_standard(rows: int, columns: int) -> None:
    """A reader in JavaScript depends on one filter for all rows (PNG 9.2) and on check sums."""
    data = encode_hounsfield(np.zeros((rows, columns), np.int16))
    at, found = 8, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert int.from_bytes(data[at + 8 + size : at + 12 + size], "big") == zlib.crc32(kind + content)
        found.append(kind)
        if kind == b"IDAT":
            assert set(zlib.decompress(content)[:: 1 + 2 * columns]) == {2}
        at += 12 + size
    assert found == [b"IHDR", b"tEXt", b"tEXt", b"tEXt", b"IDAT", b"IEND"]
