"""Shares of bone, brain and air, of slices and of pictures."""

import numpy as np
import pytest

from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.evidence import measure, measure_picture
from services.preprocess.recipe import render
from tests.preprocess.dicom_files import head_hu


def test_shares() -> None:
    hu = np.full((100, 100), -1000, dtype=np.int16)
    hu[:20], hu[20:50] = 1000, 35
    found = measure(hu, compressed=True)
    assert (found.bone, found.brain, found.air) == pytest.approx((0.2, 0.3, 0.5))
    assert found.compressed
    assert not found.constant
    assert found.failed is None


@pytest.mark.parametrize(("hu", "share"), [(9, 0), (10, 1), (60, 1), (61, 0)])
def test_edges_of_brain(hu: int, share: float) -> None:
    assert measure(np.full((4, 4), hu, dtype=np.int16)).brain == share


def test_metal() -> None:
    hu = head_hu(512, 512).copy()
    assert measure(hu).metal == 0
    hu[240:260, 240:260] = 3071
    assert measure(hu).metal == pytest.approx(400 / 512**2, rel=0.01)


def test_air_is_measured_beside_padding() -> None:
    hu = head_hu(512, 512).copy()
    hu[:100], hu[0, 0] = -2000, -2001
    hu[1:100] = -2001
    assert measure(hu).air_hu == pytest.approx(-1000, abs=3)


def test_air_on_another_scale() -> None:
    found = measure((head_hu(512, 512) - 500).astype(np.int16))
    assert found.air_hu == pytest.approx(-1500, abs=3)
    assert measure(np.full((64, 64), 40, np.int16)).air_hu is None


def test_constant_means_every_pixel() -> None:
    hu = np.zeros((64, 64), dtype=np.int16)
    assert measure(hu).constant
    hu[1, 1] = 1
    assert not measure(hu).constant


def test_picture_is_measured_as_the_slice_it_was_made_of() -> None:
    hu = head_hu(512, 512)
    slice_, picture = measure(hu), measure_picture(render(hu, DEFAULT_RECIPE), DEFAULT_RECIPE)
    assert (picture.bone, picture.brain, picture.air) == pytest.approx(
        (slice_.bone, slice_.brain, slice_.air), abs=0.002
    )


@pytest.mark.parametrize("hu", [-1000, -310, -290, 5, 14, 40, 56, 65, 290, 310, 2000])
def test_even_picture(hu: int) -> None:
    """Four Hounsfield units apart from a limit, the levels are on the right side of it; ten for bone and air."""
    even = np.full((512, 512), hu, dtype=np.int16)
    picture, slice_ = measure_picture(render(even, DEFAULT_RECIPE), DEFAULT_RECIPE), measure(even)
    assert picture == slice_
    assert picture.constant
