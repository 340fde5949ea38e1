"""The windows, byte for byte as in training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.windowing import apply_windows, could_be_windowed
from tests.scans import head

HEAD = apply_windows(head(), DEFAULT_RECIPE)
GREY = np.repeat(HEAD[..., 2:], 3, axis=-1)


def resized(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = Image.fromarray(pixels).resize((300, 300), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((512, 512), Image.Resampling.BILINEAR))


def pixel(hu: int) -> list[int]:
    shown: list[int] = apply_windows(np.array([[hu]], dtype=np.int16), DEFAULT_RECIPE)[0, 0].tolist()
    return shown


@pytest.mark.parametrize(
    ("hu", "shown"),
    [
        (-32768, [0, 0, 0]),
        (-1024, [0, 0, 0]),
        (-800, [0, 0, 0]),
        (-20, [71, 0, 87]),
        (41, [77, 78, 128]),
        (81, [80, 129, 155]),
        (180, [89, 255, 221]),
        (230, [94, 255, 255]),
        (2000, [255, 255, 255]),
        (32767, [255, 255, 255]),
    ],
)
def test_bone_subdural_and_soft_tissue(hu: int, shown: list[int]) -> None:
    assert pixel(hu) == shown


def test_windows_are_independent_of_the_slice() -> None:
    """The source program stretched each slice by its own minimum and maximum."""
    alone = apply_windows(np.full((2, 2), 50, dtype=np.int16), DEFAULT_RECIPE)
    beside = apply_windows(np.array([[50, -1000], [3000, 0]], dtype=np.int16), DEFAULT_RECIPE)
    assert (alone[0, 0] == beside[0, 0]).all()


@given(st.integers(-32768, 32766))
def test_brighter_tissue_is_never_darker(hu: int) -> None:
    assert all(low <= high for low, high in zip(pixel(hu), pixel(hu + 1), strict=True))


def test_writes_into_a_row_of_a_batch() -> None:
    batch = np.zeros((3, 4, 5, 3), dtype=np.uint8)
    hu = np.arange(20, dtype=np.int16).reshape(4, 5)
    apply_windows(hu, DEFAULT_RECIPE, batch[1])
    assert (batch[1] == apply_windows(hu, DEFAULT_RECIPE)).all()
    assert not batch[[0, 2]].any()


def test_several_slices_at_once() -> None:
    hu = np.arange(40, dtype=np.int16).reshape(2, 4, 5)
    assert apply_windows(hu, DEFAULT_RECIPE).shape == (2, 4, 5, 3)


@settings(deadline=None)  # the first example builds a table
@given(hu=st.lists(st.integers(-32768, 32767), min_size=4, max_size=4))
def test_windowed_slices_are_recognised(hu: list[int]) -> None:
    assert could_be_windowed(apply_windows(np.array(hu, np.int16).reshape(2, 2), DEFAULT_RECIPE), DEFAULT_RECIPE)


@pytest.mark.parametrize("pixels", [HEAD, resized(HEAD), np.maximum(HEAD, 1) - 1, np.zeros_like(HEAD)])
def test_pictures_with_other_rounding_or_scaling_are_recognised(pixels: NDArray[np.uint8]) -> None:
    assert could_be_windowed(pixels, DEFAULT_RECIPE)


@pytest.mark.parametrize("pixels", [GREY, HEAD[..., ::-1], 255 - HEAD, HEAD[..., [1, 0, 2]]])
def test_other_pictures_are_not_recognised(pixels: NDArray[np.uint8]) -> None:
    """A greyscale screenshot, swapped channels, an inverted picture."""
    assert not could_be_windowed(pixels, DEFAULT_RECIPE)


def test_pixels_with_gaps_are_refused() -> None:
    """Pixels are written as four bytes at every third place."""
    with pytest.raises(ValueError, match="contiguous"):
        apply_windows(head(), DEFAULT_RECIPE, np.zeros((512, 512, 4), np.uint8)[..., :3])


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 7, 3), (0, 4)])
def test_every_pixel_is_that_of_its_value(shape: tuple[int, ...]) -> None:
    hu = np.random.default_rng(3).integers(-1100, 2200, shape).astype(np.int16)
    batch = np.full((3, *shape, 3), 7, np.uint8)
    pixels = apply_windows(hu, DEFAULT_RECIPE, batch[1])
    assert pixels.reshape(-1, 3).tolist() == [pixel(value) for value in hu.ravel().tolist()]
    assert (batch[::2] == 7).all()
