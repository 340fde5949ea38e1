import numpy as np

from training.data.spacing import learnt_spacing_mm


def test_the_range_leaves_out_what_few_series_have() -> None:
    rng = np.random.default_rng(0)
    usual = [np.arange(20) * spacing for spacing in rng.uniform(2.5, 5.2, 1000)]
    odd = [np.arange(90) * 0.6, np.arange(9) * 11.0, np.zeros(1), np.zeros(3)]
    assert learnt_spacing_mm(each.astype(np.float32) for each in [*usual, *odd]) == (2.65, 5.2)


def test_one_spacing_is_a_range_of_its_own() -> None:
    assert learnt_spacing_mm([[0.0, 5.0, 10.0]] * 3) == (5.0, 5.0)
    assert learnt_spacing_mm([[0.0, 4.83, 9.66]]) == (4.8, 4.85)


def test_single_slices_say_nothing() -> None:
    assert learnt_spacing_mm([[0.0], []]) is None
