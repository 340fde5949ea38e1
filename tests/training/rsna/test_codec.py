import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.dicom_file import DecodedFrame
from services.preprocess.resample import resample_and_pad
from services.preprocess.windowing import apply_windows
from tests.scans import head
from training.rsna.codec import bounds_hu, pack, unpack, values

LOWEST_HU, HIGHEST_HU = bounds_hu(DEFAULT_RECIPE)


def _served(image: DecodedFrame) -> NDArray[np.uint8]:
    return apply_windows(resample_and_pad(image.hu, image.row_spacing_mm, image.column_spacing_mm), DEFAULT_RECIPE)


def _shown(image: DecodedFrame) -> NDArray[np.uint8]:
    out = np.empty((512, 512, 3), np.uint8)
    unpack(pack(image, DEFAULT_RECIPE), DEFAULT_RECIPE, out)
    return out


def test_nothing_that_a_window_shows_is_clipped() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(
        apply_windows(every.clip(LOWEST_HU, HIGHEST_HU), DEFAULT_RECIPE), apply_windows(every, DEFAULT_RECIPE)
    )
    inner = apply_windows(np.array([LOWEST_HU, LOWEST_HU + 11, HIGHEST_HU - 11, HIGHEST_HU], np.int16), DEFAULT_RECIPE)
    assert len({tuple(pixel) for pixel in inner.tolist()}) == 4
    assert (LOWEST_HU, HIGHEST_HU) == (-800, 2000)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([(512, 512), (502, 512), (256, 256), (1, 1), (3, 700)]),
    st.sampled_from([(0.5, 0.5), (0.5, 0.6)]),
    st.sampled_from([(-32768, 32767), (-1000, 3000), (-3000, -2999), (2500, 2501)]),
    st.integers(0, 99),
)
def test_the_pixels_are_the_services_whatever_the_slice(
    shape: tuple[int, int], spacing_mm: tuple[float, float], range_hu: tuple[int, int], seed: int
) -> None:
    hu = np.random.default_rng(seed).integers(*range_hu, shape, endpoint=True).astype(np.int16)
    image = DecodedFrame(hu, *spacing_mm, compressed=False, notes=())
    np.testing.assert_array_equal(_shown(image), _served(image))


@pytest.mark.parametrize(("side", "same"), [(256, True), (512, False)])
def test_values_are_clipped_only_where_pixels_are_shown_one_by_one(side: int, *, same: bool) -> None:
    image = DecodedFrame(head(side), 0.5, 0.5, compressed=False, notes=())
    stored = values(pack(image, DEFAULT_RECIPE))
    assert np.array_equal(stored, image.hu) == same
    np.testing.assert_array_equal(stored.clip(LOWEST_HU, HIGHEST_HU), image.hu.clip(LOWEST_HU, HIGHEST_HU))
