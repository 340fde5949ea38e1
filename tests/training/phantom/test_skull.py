from dataclasses import replace

import numpy as np

from training.phantom.geometry import Points
from training.phantom.locations import on_vault
from training.phantom.skull import Hole, depths, draw_skull, tissue

SKULL = replace(draw_skull(np.random.default_rng(5)), hyperostosis_mm=0, sutures_mm=0)


def _ray() -> Points:
    """Points on a line to the left, well above the skull base."""
    x = np.linspace(0, 110, 1100, dtype=np.float32)
    return Points(x, np.full_like(x, 5), np.full_like(x, 30))


def test_from_inside_come_cavity_bone_scalp_and_air() -> None:
    points = _ray()
    depth = depths(SKULL, points)
    hu = tissue(SKULL, points, depth)
    outside = np.flatnonzero(depth.cavity <= 0)
    bone = outside[hu[outside] > 200]
    thickness_mm = len(bone) * 0.1
    assert 2 < thickness_mm < 16
    assert bone[0] == outside[0]
    assert np.all(hu[depth.skin < 0] == -1000)
    scalp = (depth.skin > 2) & (np.arange(len(hu)) > bone[-1])
    assert np.all((hu[scalp] > -150) & (hu[scalp] < 120))


def test_tables_are_denser_than_diploe() -> None:
    points = _ray()
    depth = depths(SKULL, points)
    bone = np.flatnonzero((depth.cavity <= 0) & (tissue(SKULL, points, depth) > 200))
    wall = tissue(SKULL, points, depth)[bone]
    assert wall[len(wall) // 2] < min(wall[1], wall[-2])


def test_a_hole_takes_bone_away() -> None:
    place = on_vault(np.random.default_rng(0), SKULL, lowest=0.2, highest=0.6)
    way = np.array(place, np.float32) / np.linalg.norm(place)
    far = np.linspace(np.linalg.norm(place) + 0.5, np.linalg.norm(place) + 4, 30, dtype=np.float32)
    points = Points(*(axis * far for axis in way))
    opened = replace(SKULL, holes=(Hole(place, 12, closed=False),))
    assert tissue(SKULL, points, depths(SKULL, points)).mean() > 300
    assert tissue(opened, points, depths(opened, points)).max() < 120


def test_hyperostosis_grows_inwards() -> None:
    grown = replace(SKULL, hyperostosis_mm=6)
    x, z = np.meshgrid(np.arange(-30, 31, 2, dtype=np.float32), np.arange(0, 40, 2, dtype=np.float32))
    points = Points(x.ravel(), np.full(x.size, -65, np.float32), z.ravel())
    before, after = (depths(skull, points).cavity for skull in (SKULL, grown))
    assert np.all(after <= before + 1e-4)
    assert (before - after).max() > 2


def test_ridges_of_the_base_leave_the_vault_alone() -> None:
    flat, ridged = (replace(SKULL, ridges_mm=height) for height in (0.0, 6.0))
    x, y = np.meshgrid(np.arange(-60, 61, 4, dtype=np.float32), np.arange(-60, 61, 4, dtype=np.float32))
    for height, moved in ((-34.0, True), (45.0, False)):
        points = Points(x.ravel(), y.ravel(), np.full(x.size, height, np.float32))
        before, after = (depths(skull, points).cavity for skull in (flat, ridged))
        assert (np.abs(before - after).max() > 1) == moved
        assert np.abs(before - after).max() < 12
