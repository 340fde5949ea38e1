import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.common.labels import LABELS, Label
from services.common.operating_points import Thresholds
from services.common.predictions import predict
from training.evaluate.apply_thresholds import predict_studies, reported_series
from training.evaluate.metrics import ScoredLabels

shares = st.floats(0, 1, width=32)
rows = st.tuples(*[shares] * len(LABELS))
levels = rows.map(lambda row: dict(zip(LABELS, row, strict=True)))
studies = st.lists(st.tuples(rows, st.lists(rows, min_size=1, max_size=4)), min_size=1, max_size=4)


def _named(row: tuple[float, ...]) -> dict[Label, float]:
    return dict(zip(LABELS, row, strict=True))


@given(studies, st.builds(Thresholds, slice=levels, series=levels))
def test_arrays_are_predicted_as_the_service_predicts(
    drawn: list[tuple[tuple[float, ...], list[tuple[float, ...]]]], at: Thresholds
) -> None:
    slices, series = np.array([row for _, every in drawn for row in every]), np.array([whole for whole, _ in drawn])
    found = predict_studies(slices, series, [len(every) for _, every in drawn], at)
    expected: list[list[bool]] = []
    for number, (whole, every) in enumerate(drawn):
        alone = len(every) == 1
        said = predict(_named(every[0] if alone else whole), at.slice if alone else at.series)
        assert found.series[number].tolist() == list(said.values())
        expected += [list(predict(_named(row), at.slice, series=said).values()) for row in every]
    assert found.slice.tolist() == expected


def test_a_series_of_one_slice_is_measured_by_its_slice() -> None:
    slices, series = np.arange(18).reshape(3, 6) / 18, np.zeros((2, 6))
    truth = np.zeros((3, 6), bool)
    both = (
        ScoredLabels(slices, truth, ~truth, np.array([0, 0, 1])),
        ScoredLabels(series, truth[:2], ~truth[:2], np.arange(2)),
    )
    assert reported_series(*both, [2, 1]).scores.tolist() == [[0] * 6, slices[2].tolist()]
