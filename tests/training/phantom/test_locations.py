import numpy as np
import pytest

from training.phantom.geometry import Points
from training.phantom.locations import in_brain, on_vault, outwards, under_vault
from training.phantom.skull import depths, draw_skull

SKULL = draw_skull(np.random.default_rng(3))


def _depth_mm(place: tuple[float, float, float]) -> float:
    x, y, z = (np.array([value], np.float32) for value in place)
    return float(depths(SKULL, Points(x, y, z)).cavity[0])


@pytest.mark.parametrize("seed", range(8))
def test_points_on_the_vault_lie_on_the_inner_table(seed: int) -> None:
    place = on_vault(np.random.default_rng(seed), SKULL, lowest=0, highest=0.9)
    assert abs(_depth_mm(place)) < 1.5


@pytest.mark.parametrize("seed", range(8))
def test_points_in_the_brain_lie_in_the_cavity(seed: int) -> None:
    assert _depth_mm(in_brain(np.random.default_rng(seed), SKULL, 5)) > 0


def test_outwards_keeps_the_direction() -> None:
    place = np.array(outwards(SKULL, (1, 2, 2)))
    np.testing.assert_allclose(place / np.linalg.norm(place), np.array([1, 2, 2]) / 3, rtol=1e-5)


def test_a_ball_under_the_vault_reaches_it_at_most_a_little() -> None:
    vault = on_vault(np.random.default_rng(0), SKULL, lowest=0, highest=0.5)
    place = under_vault(np.random.default_rng(1), vault, 6, deepest_mm=8)
    assert 0.7 * 6 + 2 < np.linalg.norm(vault) - np.linalg.norm(place) < 6 + 9
