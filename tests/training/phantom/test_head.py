from dataclasses import replace

import numpy as np
import pytest

from training.phantom.geometry import Points
from training.phantom.head import draw_head, standard, vault_mm, walls_mm

HEAD = replace(draw_head(np.random.default_rng(1)), wobble_mm=0, egg=0, scale=(1.1, 1.1, 1.1))


def _line() -> Points:
    x = np.linspace(-90, 90, 200, dtype=np.float32)
    return Points(x, np.zeros_like(x), np.full_like(x, 20))


def test_a_head_without_a_form_of_its_own_is_the_standard_one_at_its_scale() -> None:
    inner = standard(HEAD, _line())
    np.testing.assert_allclose(inner.x, _line().x * 1.1, rtol=1e-6)


def test_room_moves_the_walls_outwards() -> None:
    tight, wide = (walls_mm(replace(HEAD, room_mm=room), standard(HEAD, _line())) for room in (0, 3))
    for before, after in zip(tight, wide, strict=True):
        np.testing.assert_allclose(after - before, 3, rtol=1e-4)


def test_the_vault_is_the_hull() -> None:
    inner = standard(HEAD, _line())
    np.testing.assert_array_equal(vault_mm(HEAD, inner), walls_mm(HEAD, inner)[1])


@pytest.mark.parametrize("seed", range(5))
def test_heads_are_as_wide_as_adults_are(seed: int) -> None:
    head = draw_head(np.random.default_rng(seed))
    cavity, _ = walls_mm(head, standard(head, _line()))
    width_mm = (cavity > 0).sum() * 180 / 199
    assert 110 < width_mm < 160
