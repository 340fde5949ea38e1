import pytest

from services.common.schemas import Midline
from services.gateway.midline import head_midline


def line(angle_deg: float, column: float, contrast: float = 1.0) -> Midline:
    return Midline(row=0, column=column, angle_deg=angle_deg, contrast=contrast)


def test_the_plane_leans_with_the_head_and_outliers_do_not_count() -> None:
    midlines = [line(0, 250 + 2 * index) for index in range(8)]
    midlines[3] = line(29, 90, contrast=0.5)
    found = head_midline([*midlines, None], [5.0 * index for index in range(9)])
    assert found
    assert found.angle == 0
    assert found.across(100, 270) - found.place(20.0) == pytest.approx(270 - 258)


@pytest.mark.parametrize(
    "midlines",
    [
        [],
        [None, None, None, None],
        [line(0, 256), line(0, 256)],
        [line(0, 256, contrast=0.1)] * 5,
        [line(-20, 256), line(-8, 256), line(4, 256), line(16, 256), line(28, 256)],
    ],
    ids=["empty", "no head", "two slices", "faint", "no agreement"],
)
def test_uncertain_midlines_are_none(midlines: list[Midline | None]) -> None:
    assert head_midline(midlines, [5.0 * index for index in range(len(midlines))]) is None


def test_slices_at_one_position_have_no_slope() -> None:
    found = head_midline([line(0, 250), line(0, 260), line(0, 255)], [0.0, 0.0, 0.0])
    assert found
    assert (found.per_mm, found.at_zero) == (0.0, 255)
