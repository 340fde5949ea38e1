"""Calibrates an RNN: fits its temperatures and its operating points on studies that no network was trained on."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import tensorflow as tf

from services.common.operating_points import LEVELS, OperatingPoint, Thresholds
from training.data.series import Series
from training.evaluate.calibrate import fit_operating_points, fit_temperatures
from training.evaluate.predictions import Prediction, lengths_of, predict, score_levels
from training.networks.rnn import Rnn

_COLUMNS: Final = {"any": 0, "subtypes": 1}  # the subtypes share one temperature


def calibrate_rnn(rnn: Rnn, studies: Sequence[Series]) -> tuple[dict[OperatingPoint, Thresholds], dict[str, float]]:
    """Set the temperatures of the graph; return the operating points and the temperatures by name.

    Names of temperatures are `slice_any`, `slice_subtypes`, `series_any` and `series_subtypes`.
    """
    scored = dict(zip(LEVELS, score_levels(studies, _logits(rnn, studies)), strict=True))
    fitted = {level: fit_temperatures(scored[level]) for level in LEVELS}
    for level, values in fitted.items():
        getattr(rnn.temperatures, level).assign(values)
    points = fit_operating_points(*score_levels(studies, predict(rnn, studies)), lengths_of(studies))
    return points, {
        f"{level}_{part}": round(float(values[column]), 4)
        for level, values in fitted.items()
        for part, column in _COLUMNS.items()
    }


def set_temperatures(rnn: Rnn, values: Mapping[str, float]) -> None:
    """Set the temperatures of the graph to those that `calibrate_rnn` returned."""
    for level in LEVELS:
        variable = getattr(rnn.temperatures, level)
        subtypes = [values[f"{level}_subtypes"]] * (variable.shape[0] - 1)
        variable.assign([values[f"{level}_any"], *subtypes])


def _logits(rnn: Rnn, studies: Sequence[Series]) -> list[Prediction]:
    """Logits of slices (n, 6) and of the series (6,) of every study."""
    call = tf.function(lambda *inputs: rnn.logits(list(inputs), training=False), reduce_retracing=True)
    pairs = [call(tf.constant(study.features[None]), tf.constant(study.position_mm[None])) for study in studies]
    return [(np.asarray(slices[0]), np.asarray(series[0])) for slices, series in pairs]
