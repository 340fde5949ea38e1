import numpy as np

from training.research.realism import EDGES_MM, slice_statistics


def _head(*, brain_hu: float, noise_hu: float, radius_mm: float = 70) -> np.ndarray:
    rng = np.random.default_rng(0)
    steps = np.arange(256) - 127.5
    radius = np.hypot(steps[:, None], steps[None])
    hu = np.full((256, 256), -1000.0)
    hu[radius < radius_mm + 7] = 1000
    inside = radius < radius_mm
    hu[inside] = brain_hu + rng.normal(0, noise_hu, inside.sum())
    return hu


def test_figures_of_an_even_head() -> None:
    look = slice_statistics(_head(brain_hu=33, noise_hu=4), 1.0)
    assert look is not None
    assert look.border_hu.shape == (len(EDGES_MM) - 1,)
    np.testing.assert_allclose(look.border_hu, 33, atol=1)
    assert 3.5 < look.noise_hu < 4.5
    assert abs(look.histogram.sum() - 1) < 0.01
    # White noise, less what is coarser than it looks at: even over the higher frequencies.
    assert look.spectrum[8:].std() < 0.3 * look.spectrum[8:].mean()


def test_too_little_brain_has_no_figures() -> None:
    assert slice_statistics(_head(brain_hu=33, noise_hu=4, radius_mm=30), 1.0) is None
    assert slice_statistics(np.full((256, 256), -1000.0), 1.0) is None
