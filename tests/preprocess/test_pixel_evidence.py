"""Shares of bone, brain and air, of slices and of PNG slices."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.acceptance import HIGHEST_AIR_HU, LOWEST_AIR_HU, is_refused, pixel_reasons
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.dicom_file import decode_frame
from services.preprocess.pixel_evidence import measure_png, measure_slice
from services.preprocess.windowing import apply_windows
from tests.preprocess.dicom_files import head_hu


def test_shares() -> None:
    hu = np.full((100, 100), -1000, dtype=np.int16)
    hu[:20], hu[20:50] = 1000, 35
    found = measure_slice(hu, compressed=True)
    assert (found.bone, found.brain, found.air) == pytest.approx((0.2, 0.3, 0.5))
    assert found.compressed
    assert not found.constant
    assert found.failed is None


@pytest.mark.parametrize(("hu", "share"), [(9, 0), (10, 1), (60, 1), (61, 0)])
def test_edges_of_brain(hu: int, share: float) -> None:
    assert measure_slice(np.full((4, 4), hu, dtype=np.int16)).brain == share


def test_metal() -> None:
    hu = head_hu(512, 512).copy()
    assert measure_slice(hu).metal == 0
    hu[240:260, 240:260] = 3071
    assert measure_slice(hu).metal == pytest.approx(400 / 512**2, rel=0.01)


def test_air_is_measured_beside_padding() -> None:
    hu = head_hu(512, 512).copy()
    hu[:100], hu[0, 0] = -2000, -2001
    hu[1:100] = -2001
    assert measure_slice(hu).air_hu == pytest.approx(-1000, abs=3)


def test_air_on_another_scale() -> None:
    found = measure_slice((head_hu(512, 512) - 500).astype(np.int16))
    assert found.air_hu == pytest.approx(-1500, abs=3)
    assert measure_slice(np.full((64, 64), 40, np.int16)).air_hu is None


def test_constant_means_every_pixel() -> None:
    hu = np.zeros((64, 64), dtype=np.int16)
    assert measure_slice(hu).constant
    hu[1, 1] = 1
    assert not measure_slice(hu).constant


def test_a_png_is_measured_as_its_slice() -> None:
    hu = head_hu(512, 512)
    slice_, picture = measure_slice(hu), measure_png(apply_windows(hu, DEFAULT_RECIPE), DEFAULT_RECIPE)
    assert (picture.bone, picture.brain, picture.air, picture.centre_air) == pytest.approx(
        (slice_.bone, slice_.brain, slice_.air, slice_.centre_air), abs=0.002
    )


def ring(inside_hu: int, *, middle: tuple[float, float] = (0, 0)) -> NDArray[np.int16]:
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    radius = np.hypot(y - middle[0], x - middle[1])
    return np.where(radius < 0.4, inside_hu, np.where(radius < 0.5, 1000, -1000)).astype(np.int16)


@pytest.mark.parametrize("middle", [(0, 0), (0.3, -0.4), (-0.5, 0.5)])
@pytest.mark.parametrize(("inside_hu", "share"), [(-1000, 1), (33, 0), (1000, 0)])
def test_air_amid_the_bone(inside_hu: int, share: float, middle: tuple[float, float]) -> None:
    hu = ring(inside_hu, middle=middle)
    assert measure_slice(hu).centre_air == share
    assert measure_png(apply_windows(hu, DEFAULT_RECIPE), DEFAULT_RECIPE).centre_air == share


def test_a_headrest_leaves_the_centre_in_the_vertex() -> None:
    hu = ring(1000)
    hu[440:444, 100:412] = 1000
    assert measure_slice(hu).centre_air < 0.05


def test_slices_without_bone_have_no_centre() -> None:
    assert measure_slice(np.full((64, 64), -1000, np.int16)).centre_air == 0


@cache
def sample_slices() -> list[NDArray[np.int16]]:
    files = sorted((Path(__file__).parents[2] / "samples/series").glob("*.dcm"))
    return [decode_frame(file.read_bytes(), 0).hu for file in files]


def test_every_slice_of_a_head_is_accepted_alone() -> None:
    for hu in sample_slices():
        assert not is_refused(pixel_reasons([measure_slice(hu)]))
    assert pixel_reasons([measure_slice(hu) for hu in sample_slices()]) == []


@pytest.mark.parametrize("hu", [-1000, -500, 1000])
def test_a_head_without_soft_tissue_is_refused(hu: int) -> None:
    skull = [np.where(slice_ > 300, slice_, hu).astype(np.int16) for slice_ in sample_slices()]
    codes = [
        item.code for item in pixel_reasons([measure_slice(slice_) for slice_ in skull]) if item.severity == "refuse"
    ]
    assert codes == ["not_a_head", *["wrong_scale"] * (hu == -500)]  # at -500, the lowest value is not air


def test_a_skull_with_edges_as_dense_as_brain_is_refused() -> None:
    """At borders of bone and air, some pixels are as dense as brain."""
    skull = [np.where(slice_ > 300, slice_, -1000).astype(np.float32) for slice_ in sample_slices()]
    blurred = [((slice_ + np.roll(slice_, 1, 0) + np.roll(slice_, 1, 1)) / 3).astype(np.int16) for slice_ in skull]
    evidence = [measure_slice(slice_) for slice_ in blurred]
    assert max(item.brain for item in evidence) > 0.001
    assert "not_a_head" in [item.code for item in pixel_reasons(evidence)]


@pytest.mark.parametrize("hu", [-1000, -310, -290, 5, 14, 40, 56, 65, 290, 310, 2000])
def test_a_uniform_png(hu: int) -> None:
    """Levels are on the right side of a limit from a distance of 4 HU; 10 HU for bone and air."""
    even = np.full((512, 512), hu, dtype=np.int16)
    picture, slice_ = measure_png(apply_windows(even, DEFAULT_RECIPE), DEFAULT_RECIPE), measure_slice(even)
    assert picture == slice_
    assert picture.constant


@pytest.mark.parametrize("shift_hu", [-1024, -1000, -500, 500])
@pytest.mark.parametrize("padding_hu", [-1500, None])
def test_shifted_values_are_on_another_scale(shift_hu: int, padding_hu: int | None) -> None:
    """An intercept applied twice, or wrongly, shifts air and tissue."""
    hu = (head_hu(512, 512) + shift_hu).astype(np.int16)
    if padding_hu is not None:
        hu[:, :60] = padding_hu + shift_hu
    assert is_refused(pixel_reasons([measure_slice(hu)] * 10))


def test_raised_values_leave_only_padding_below_tissue() -> None:
    hu = (head_hu(512, 512) + 1000).astype(np.int16)
    hu[:, :60] = -500
    found = measure_slice(hu)
    assert found.air_hu == pytest.approx(-500)
    assert is_refused(pixel_reasons([found] * 10))


def test_negative_values_read_as_unsigned_are_refused() -> None:
    hu = head_hu(512, 512)
    hu = np.where(hu < 0, 32767, hu).astype(np.int16)
    hu[:, :60] = -1024
    assert is_refused(pixel_reasons([measure_slice(hu)] * 10))


def test_padding_far_below_air_is_no_shift() -> None:
    hu = head_hu(512, 512).copy()
    hu[:, :80], hu[0, 0] = -2000, -2001
    assert not is_refused(pixel_reasons([measure_slice(hu)] * 10))


@pytest.mark.parametrize("seed", range(40))
def test_measures_as_plain_numpy_does(seed: int) -> None:
    """Medians, quartile, centroid and shares by numpy's own functions, for slices of any shape and order in memory."""
    random = np.random.default_rng(seed)
    lowest, width = int(random.integers(-3000, 400)), int(random.integers(1, 3000))
    hu = random.integers(lowest, lowest + width, random.integers(1, 200, 2)).astype(np.int16)
    hu[random.random(hu.shape) < random.choice((0, 0.5))] = -1024
    hu = hu[::-1].T if seed % 4 == 0 else hu
    found, sample = measure_slice(hu), hu[::2, ::2]
    assert (found.bone, found.air, found.metal) == (
        (sample > 300).mean(),
        (sample < -300).mean(),
        (sample > 3000).mean(),
    )
    assert found.centre_air == plain_centre_air(sample)
    assert found.air_hu == plain_air_hu(hu)


def plain_centre_air(sample: NDArray[np.int16]) -> float:
    bone = sample > 300
    if not bone.any():
        return 0.0
    counts = [bone.sum(axis=axis) for axis in (1, 0)]
    centres = [np.average(np.arange(len(side)), weights=side) for side in counts]
    squares = [
        np.average((np.arange(len(side)) - centre) ** 2, weights=side)
        for side, centre in zip(counts, centres, strict=True)
    ]
    reach = max(np.sqrt(sum(squares)) / 2, 1.0)
    (top, left), (bottom, right) = ([max(int(c - reach), 0) for c in centres], [int(c + reach) + 1 for c in centres])
    return float((sample < -300)[top:bottom, left:right].mean())


def plain_air_hu(hu: NDArray[np.int16]) -> float | None:
    step = max(min(hu.shape) // 64, 1)
    sample = hu[::step, ::step]
    below = sample[sample < -300]
    air = below[below > sample.min()]
    if air.size < 0.01 * sample.size:
        some = 0.01 * sample.size <= below.size < sample.size
        return float(sample.min()) if some and sample.min() > HIGHEST_AIR_HU else None
    quarter, tissue = np.percentile(air, 25), np.count_nonzero(np.abs(sample) < 150)
    return float(quarter if quarter < LOWEST_AIR_HU and tissue < 0.05 * sample.size else np.median(air))
