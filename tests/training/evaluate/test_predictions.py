import numpy as np

from tests.training.small_networks import small_cnn, small_rnn
from training.data.series import Series
from training.evaluate.predictions import predict, predict_by_cnn, predict_single_slices, score_levels, study_features
from training.networks.extractor import extractor
from training.phantom.study_options import StudyOptions, StudyRequest


def _study(labels: list[bool], label_mask: list[bool]) -> Series:
    count = len(labels)
    return Series(
        features=np.zeros((count, 3), np.float32),
        position_mm=np.arange(count, dtype=np.float32),
        labels=np.repeat(np.array(labels)[:, None], 6, axis=1),
        label_mask=np.repeat(np.array(label_mask)[:, None], 6, axis=1),
    )


def test_a_series_is_uncertain_only_where_no_slice_decides() -> None:
    studies = [
        _study([True, False], [True, False]),
        _study([False, False], [True, False]),
        _study([False, False], [True, True]),
    ]
    answers = [(np.zeros((2, 6), np.float32), np.full(6, number, np.float32)) for number in range(3)]
    slices, series = score_levels(studies, answers)
    assert slices.scores.shape == slices.truth.shape == slices.label_mask.shape == (6, 6)
    np.testing.assert_array_equal(slices.study, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(series.scores[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(series.truth[:, 0], [True, False, False])
    np.testing.assert_array_equal(series.label_mask[:, 0], [True, False, True])


def test_a_slice_alone_is_a_series_of_one() -> None:
    cnn = small_cnn()
    rnn = small_rnn(cnn)
    wanted = [StudyRequest(9_500_000, 3, StudyOptions(kinds=("subdural",)))]
    (case,) = study_features(extractor(cnn), wanted, name="test")
    assert len(case.bright) == len(case.brain) == 3
    first = Series(
        case.series.features[:1], case.series.position_mm[:1], case.series.labels[:1], case.series.label_mask[:1]
    )
    np.testing.assert_allclose(
        predict_single_slices(rnn, [case.series])[0][0][:1], predict(rnn, [first])[0][0], rtol=1e-4
    )
    slices, series = predict_by_cnn(cnn.last, [case.series])[0]
    np.testing.assert_array_equal(series, slices.max(axis=0))
