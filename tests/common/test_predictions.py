from hypothesis import given
from hypothesis import strategies as st

from services.common.labels import LABELS, SUBTYPES, Label
from services.common.predictions import predict

shares = st.floats(0, 1)
rows = st.tuples(*[shares] * len(LABELS)).map(lambda row: dict(zip(LABELS, row, strict=True)))


def _row(**values: float) -> dict[Label, float]:
    return {label: values.get(label, 0.1) for label in LABELS}


def test_a_subtype_makes_any_present() -> None:
    found = predict(_row(any=0.33, epidural=0.08), _row(any=0.44, epidural=0.03, subdural=0.2))
    assert {label for label in LABELS if found[label]} == {"any", "epidural"}


def test_a_slice_has_no_label_that_its_series_lacks() -> None:
    probabilities, thresholds = _row(any=0.9, subdural=0.8, epidural=0.8), _row(any=0.5, subdural=0.5, epidural=0.5)
    series = dict.fromkeys(LABELS, False) | {"any": True, "subdural": True}
    found = predict(probabilities, thresholds, series=series)
    assert {label for label in LABELS if found[label]} == {"any", "subdural"}
    assert not any(predict(probabilities, thresholds, series=dict.fromkeys(LABELS, False)).values())


def test_a_probability_at_its_threshold_is_absent() -> None:
    assert not any(predict(dict.fromkeys(LABELS, 0.5), dict.fromkeys(LABELS, 0.5)).values())


@given(rows, rows, rows, rows)
def test_predictions_are_consistent(
    series: dict[Label, float], at: dict[Label, float], slice_: dict[Label, float], slice_at: dict[Label, float]
) -> None:
    whole = predict(series, at)
    one = predict(slice_, slice_at, series=whole)
    for found in (whole, one, predict(slice_, slice_at)):
        assert found["any"] >= any(found[label] for label in SUBTYPES)
    assert all(whole[label] >= one[label] for label in LABELS)


@given(rows, rows, rows, rows, rows, rows)
def test_lower_thresholds_keep_every_present_label(
    series: dict[Label, float],
    slice_: dict[Label, float],
    at: dict[Label, float],
    slice_at: dict[Label, float],
    lower: dict[Label, float],
    slice_lower: dict[Label, float],
) -> None:
    loose = {label: min(at[label], lower[label]) for label in LABELS}
    slice_loose = {label: min(slice_at[label], slice_lower[label]) for label in LABELS}
    strict, wide = predict(series, at), predict(series, loose)
    assert all(wide[label] >= strict[label] for label in LABELS)
    before, after = predict(slice_, slice_at, series=strict), predict(slice_, slice_loose, series=wide)
    assert all(after[label] >= before[label] for label in LABELS)
