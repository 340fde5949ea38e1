import numpy as np
import pytest

from services.common.labels import LABELS
from tests.training.small_networks import small_cnn, small_rnn
from training.data.series import Series
from training.evaluate.predictions import predict
from training.evaluate.rnn_calibration import calibrate_rnn, set_temperatures
from training.networks.rnn import Rnn

LENGTHS = (3, 5, 8)


def _studies(rnn: Rnn) -> list[Series]:
    rng = np.random.default_rng(0)
    size = rnn.logits.input_shape[0][-1]
    return [
        Series(
            features=rng.normal(0, 1, (count, size)).astype(np.float32),
            position_mm=np.arange(count, dtype=np.float32) * 5,
            labels=rng.random((count, len(LABELS))) < 0.3,
            label_mask=np.ones((count, len(LABELS)), bool),
        )
        for count in LENGTHS
    ]


def test_calibration_sets_one_temperature_of_any_and_one_of_the_subtypes() -> None:
    rnn = small_rnn(small_cnn())
    points, found = calibrate_rnn(rnn, _studies(rnn))
    assert set(points) == {"default", "sensitive", "specific"}
    assert list(found) == ["slice_any", "slice_subtypes", "series_any", "series_subtypes"]
    for level in ("slice", "series"):
        values = np.asarray(getattr(rnn.temperatures, level))
        wanted = [found[f"{level}_any"], *[found[f"{level}_subtypes"]] * (len(LABELS) - 1)]
        np.testing.assert_allclose(values, wanted, atol=1e-4)


def test_stored_temperatures_give_the_calibrated_predictions() -> None:
    calibrated, restored = (small_rnn(small_cnn()) for _ in range(2))
    studies = _studies(calibrated)
    _, found = calibrate_rnn(calibrated, studies)
    set_temperatures(restored, found)
    for wanted, given in zip(predict(calibrated, studies), predict(restored, studies), strict=True):
        np.testing.assert_allclose(given[0], wanted[0], atol=1e-4)
        np.testing.assert_allclose(given[1], wanted[1], atol=1e-4)


def test_a_missing_temperature_is_named() -> None:
    rnn = small_rnn(small_cnn())
    with pytest.raises(KeyError, match="series_subtypes"):
        set_temperatures(rnn, {"slice_any": 1.0, "slice_subtypes": 1.0, "series_any": 1.0})
