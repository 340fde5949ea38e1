import numpy as np
import pytest

from training.phantom.beam_hardening import hardening_hu
from training.phantom.geometry import SIZE


def _disc(hu: np.ndarray, *, down: float, right: float, radius: float, value: float) -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    hu[np.hypot(rows - down, columns - right) < radius] = value


def _head(*, bone_hu: float) -> np.ndarray:
    hu = np.full((SIZE, SIZE), -1000, np.float32)
    _disc(hu, down=128, right=128, radius=90, value=bone_hu)
    _disc(hu, down=128, right=128, radius=78, value=30)
    return hu


def test_without_bone_nothing_is_hardened() -> None:
    np.testing.assert_allclose(hardening_hu(_head(bone_hu=30)), 0, atol=1e-4)


def test_between_two_dense_bones_it_is_darker_than_beside_them() -> None:
    hu = np.full((SIZE, SIZE), 30, np.float32)
    for right in (78, 178):
        _disc(hu, down=128, right=right, radius=20, value=1500)
    fault = hardening_hu(hu)
    assert fault[128, 128] < fault[60, 128] - 0.5


def test_brain_along_the_vault_is_brighter_than_in_the_middle() -> None:
    fault = hardening_hu(_head(bone_hu=1300))
    assert fault[128, 128 + 72] > fault[128, 128] + 0.2


@pytest.mark.parametrize("turns", [1, 2])
def test_a_turned_head_has_a_turned_fault(turns: int) -> None:
    hu = _head(bone_hu=1200)
    _disc(hu, down=100, right=90, radius=14, value=1400)
    np.testing.assert_allclose(np.rot90(hardening_hu(hu), turns), hardening_hu(np.rot90(hu, turns)), atol=0.25)


def test_soft_tissue_keeps_its_mean() -> None:
    inner = np.zeros((SIZE, SIZE))
    _disc(inner, down=128, right=128, radius=72, value=1)
    assert abs(hardening_hu(_head(bone_hu=1300))[inner == 1].mean()) < 1
