import numpy as np

from training.answers import levels
from training.fit_rnn import Series


def _study(labels: list[bool], certain: list[bool]) -> Series:
    count = len(labels)
    return Series(
        features=np.zeros((count, 3), np.float32),
        position_mm=np.arange(count, dtype=np.float32),
        labels=np.repeat(np.array(labels)[:, None], 6, axis=1),
        certain=np.repeat(np.array(certain)[:, None], 6, axis=1),
    )


def test_a_series_is_uncertain_only_where_no_slice_decides() -> None:
    studies = [
        _study([True, False], [True, False]),
        _study([False, False], [True, False]),
        _study([False, False], [True, True]),
    ]
    answers = [(np.zeros((2, 6), np.float32), np.full(6, number, np.float32)) for number in range(3)]
    (slices, truth, certain), (series, present, known) = levels(studies, answers)
    assert slices.shape == truth.shape == certain.shape == (6, 6)
    np.testing.assert_array_equal(series[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(present[:, 0], [True, False, False])
    np.testing.assert_array_equal(known[:, 0], [True, False, True])
