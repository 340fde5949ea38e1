"""Result pictures."""

import numpy as np
import pytest

from services.common.labels import LABELS
from services.common.recipe import DEFAULT_RECIPE
from services.dicom_node.results.heat_map import colours_of, fuse
from services.dicom_node.results.result_picture import SIDE, Bar, ResultPicture, brain_window, draw_result
from services.preprocess.windowing import apply_windows
from tests.scans import head

BARS = {label: Bar(series=0.9, threshold=0.5, present=True, slice=0.8) for label in LABELS}


def test_a_picture_is_the_same_bytes_each_time() -> None:
    result = ResultPicture(title="Key slice", bars=BARS, pixels=apply_windows(head(), DEFAULT_RECIPE))
    first, second = draw_result(result), draw_result(result)
    assert first.shape == (SIDE, SIDE, 3)
    assert first.tobytes() == second.tobytes()


def test_research_use_is_burned_in_whatever_is_shown() -> None:
    banner = draw_result(ResultPicture(title="", bars={}))[:40]
    assert banner.tobytes() == draw_result(ResultPicture(title="x", bars=BARS, message=["y"]))[:40].tobytes()
    assert len(np.unique(banner.reshape(-1, 3), axis=0)) > 10, "there is text"


@pytest.mark.parametrize(("hu", "grey"), [(-100, 0), (0, 0), (40, 127.5), (80, 255), (1000, 255)])
def test_the_brain_window_shows_0_to_80_hu(hu: int, grey: float) -> None:
    pixels = apply_windows(np.full((512, 512), hu, np.int16), DEFAULT_RECIPE)
    assert float(brain_window(pixels)[0, 0]) == pytest.approx(grey, abs=1.6)


def test_pixels_of_another_recipe_are_shown_as_they_are() -> None:
    pixels = np.full((512, 512, 3), 77, np.uint8)
    drawn = draw_result(ResultPicture(title="", bars={}, pixels=pixels, has_recipe=False))
    assert (drawn[300, 300] == 77).all()


def test_without_blood_a_picture_is_grey() -> None:
    fused = fuse(brain_window(apply_windows(head(), DEFAULT_RECIPE)), {})
    assert (fused[..., 0] == fused[..., 2]).all()


def test_blood_is_tinted_and_outlined_where_it_lies() -> None:
    cells = np.zeros((32, 32), np.float32)
    cells[8:12, 20:24] = 1  # rows 128 to 192, columns 320 to 384
    fused = fuse(np.full((512, 512), 100, np.uint8), {"subdural": cells}).astype(int)
    coloured = np.ptp(fused, axis=-1) > 5
    rows, columns = np.nonzero(coloured)
    assert (rows.mean(), columns.mean()) == pytest.approx((159.5, 351.5), abs=1)
    assert not coloured[:110].any()
    assert (fused[160, 319:323] == (0, 200, 150)).all(axis=-1).any(), "an outline in the colour of the label"


def test_colours_become_lighter_with_the_share_of_blood() -> None:
    lightness = colours_of(np.linspace(0, 1, 50, dtype=np.float32)) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) > 0).all()
