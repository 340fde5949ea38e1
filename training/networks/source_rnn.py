"""The source project's RNN: two bidirectional LSTMs, a bidirectional GRU, and a dense layer (its 1x1 convolution).

It learns from windows of one length. A series that is shorter is filled up with rows that are no slices: their position
is NaN. Such rows change nothing, neither other rows' answers nor the loss.
"""

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from training.networks.rnn import CLASSES, Rnn, Temperatures

SURELY_NOT: Final = -30.0  # the logit of a row that is no slice


@dataclass(frozen=True, slots=True)
class SourceShape:
    """Widths of the state in each direction, as the source project has them."""

    lstm: tuple[int, ...] = (512, 512)
    gru: int = 256


class IsSlice(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Positions (b, n) to (b, n) bool: whether the row is a slice."""

    def call(self, position_mm: Any) -> Any:
        return ops.logical_not(ops.isnan(position_mm))

    def compute_output_spec(self, position_mm: Any) -> Any:
        return keras.KerasTensor(position_mm.shape, dtype="bool")


class NotSlices(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Logits (b, n, 6), where rows that are no slices are surely negative."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True  # it is told by itself which rows are slices

    def call(self, logits: Any, real: Any) -> Any:
        return ops.where(real[..., None], logits, SURELY_NOT)

    def compute_output_shape(self, logits_shape: Any, real_shape: Any) -> Any:  # noqa: ARG002 - Keras goes by the names
        return logits_shape


def build_source_rnn(shape: SourceShape, features: NDArray[np.float32]) -> Rnn:
    """A network with fresh weights; the series' logits are the largest of its slices'."""
    values = keras.Input((None, features.shape[-1]), name="features")
    position_mm = keras.Input((None,), name="position_mm")
    real, x = IsSlice()(position_mm), values
    for cell, width in (*((layers.LSTM, width) for width in shape.lstm), (layers.GRU, shape.gru)):
        x = layers.Bidirectional(cell(width, return_sequences=True, use_cudnn=False))(x, mask=real)
    slices = NotSlices()(layers.Dense(CLASSES)(x), real)
    temperatures = Temperatures(name="temperatures")
    temperatures.build()
    return Rnn(keras.Model([values, position_mm], [slices, ops.max(slices, axis=1)], name="rnn"), temperatures)
