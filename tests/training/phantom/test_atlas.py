import numpy as np

from training.phantom import atlas
from training.phantom.geometry import Points
from training.phantom.shapes import Floats


def _at(*places: tuple[float, float, float]) -> Points:
    x, y, z = np.array(places, np.float32).T
    return Points(x, y, z)


def _plane(z: float, step: float = 4) -> Points:
    x, y = np.meshgrid(np.arange(-90, 91, step), np.arange(-110, 111, step))
    return Points(*(values.astype(np.float32).ravel() for values in (x, y, np.full_like(x, z))))


def test_known_places_are_what_they_are() -> None:
    # A lateral ventricle's body, white matter beside it, the cerebellum, air above the head.
    places = _at((9, 0, 20), (28, 0, 24), (24, 52, -40), (0, 0, 110))
    tissue, (cavity, _) = atlas.look_up(places), atlas.walls_mm(places)
    assert tissue.ventricle_mm[0] > 0
    assert tissue.white[1] > 0.9
    assert tissue.tentorium_mm[2] < -5 < 5 < tissue.tentorium_mm[1]
    assert (cavity > 0).tolist() == [True, True, True, False]


def test_the_hull_holds_the_cavity_and_the_cavity_the_ventricles() -> None:
    for z in (-40, -20, 0, 20, 40):
        cavity, hull = atlas.walls_mm(_plane(z))
        assert np.all(hull >= cavity - 0.6)
        assert np.all(cavity[atlas.look_up(_plane(z)).ventricle_mm > 0] > 0)


def test_the_standard_brain_is_symmetric() -> None:
    plane = _plane(10)
    mirrored = Points(-plane.x, plane.y, plane.z)
    assert np.abs(atlas.look_up(plane).grey - atlas.look_up(mirrored).grey).mean() < 0.02
    assert _far(atlas.walls_mm(plane)[0], atlas.walls_mm(mirrored)[0]) < 1.5


def test_the_hull_alone_is_that_of_both_walls() -> None:
    plane = _plane(0)
    np.testing.assert_array_equal(atlas.hull_mm(plane), atlas.walls_mm(plane)[1])


def test_points_beyond_the_template_are_as_its_edge() -> None:
    places = _at((0, 18, -90), (0, 18, -400))
    tissue, (cavity, _) = atlas.look_up(places), atlas.walls_mm(places)
    assert tissue.white[0] == tissue.white[1]
    assert np.isfinite(cavity).all()


def _far(one: Floats, two: Floats) -> float:
    return float(np.abs(one - two).max())
