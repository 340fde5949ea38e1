"""The source project's RNN: two bidirectional LSTMs, a bidirectional GRU, and a dense layer (its 1x1 convolution).

It is trained on windows of one length. Shorter series are padded with rows whose position is NaN; padding changes
neither the logits of slices nor the loss.
"""

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from training.networks.rnn import CLASSES, Rnn, new_temperatures

PADDING_LOGIT: Final = -30.0


@dataclass(frozen=True, slots=True)
class SourceShape:
    """Units of the layers in each direction, by default those of the source project."""

    lstm: tuple[int, ...] = (512, 512)
    gru: int = 256


class IsSlice(layers.Layer):  # type: ignore[misc] # Keras has no types
    """From positions (b, n) to a mask (b, n) bool of rows that are slices, not padding."""

    def call(self, position_mm: Any) -> Any:
        return ops.logical_not(ops.isnan(position_mm))

    def compute_output_spec(self, position_mm: Any) -> Any:
        return keras.KerasTensor(position_mm.shape, dtype="bool")


class MaskPadding(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Sets the logits (b, n, 6) of padding to -30, so that it never is the largest of a series."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True  # the mask is an argument

    def call(self, logits: Any, real: Any) -> Any:
        return ops.where(real[..., None], logits, PADDING_LOGIT)

    def compute_output_shape(self, logits_shape: Any, real_shape: Any) -> Any:  # noqa: ARG002 - Keras passes both by name
        return logits_shape


def build_source_rnn(shape: SourceShape, features: NDArray[np.float32]) -> Rnn:
    """Return a network with fresh weights; a series' logits (b, 6) are the largest of its slices'."""
    values = keras.Input((None, features.shape[-1]), name="features")
    position_mm = keras.Input((None,), name="position_mm")
    real, x = IsSlice()(position_mm), values
    for cell, width in (*((layers.LSTM, width) for width in shape.lstm), (layers.GRU, shape.gru)):
        x = layers.Bidirectional(cell(width, return_sequences=True, use_cudnn=False))(x, mask=real)
    slices = MaskPadding()(layers.Dense(CLASSES)(x), real)
    return Rnn(keras.Model([values, position_mm], [slices, ops.max(slices, axis=1)], name="rnn"), new_temperatures())
