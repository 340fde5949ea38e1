"""The RNN: features and positions of a series to calibrated probabilities of every slice and of the series.

It sees the distances between slices and not their positions, because scanners differ in their origin. A frozen copy of
the CNN's last layer gives the CNN's logits; a weight for each label mixes them with the RNN's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from services.common.labels import LABELS

CLASSES = len(LABELS)


@dataclass(frozen=True, slots=True)
class RnnShape:
    """Sizes of the network.

    width : units of the dense layer before the GRU
    state : units of the GRU in each direction
    """

    width: int = 96
    state: int = 64
    dropout: float = 0.3


@dataclass(frozen=True, slots=True)
class Rnn:
    """An RNN as a model for training and the layer that follows it in serving.

    logits : features (b, n, d) and positions (b, n) in mm to logits of slices (b, n, 6) and series (b, 6)
    temperatures : from logits to probabilities
    """

    logits: keras.Model
    temperatures: "Temperatures"

    def serving(self, features: Any, position_mm: Any) -> dict[str, Any]:
        """Return the probabilities for features (n, d) and positions (n,) in mm of one series, as served."""
        slices, series = self.logits([features[None], position_mm[None]], training=False)
        probabilities: dict[str, Any] = self.temperatures(slices[0], series[0])
        return probabilities


class PositionEncoding(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Encodes positions (b, n) in mm as (b, n, 11); a shift of all positions changes nothing.

    The numbers are the distances to both neighbours, the distance to the middle of the series, and its sines and
    cosines.
    """

    def call(self, position_mm: Any) -> Any:
        # Subtracted first: far from zero, float32 has too few digits for the differences.
        x = position_mm - position_mm[:, :1]
        gaps = ops.clip(x[:, 1:] - x[:, :-1], -15, 15) / 10
        before, after = ops.pad(gaps, ((0, 0), (1, 0))), ops.pad(gaps, ((0, 0), (0, 1)))
        middle = ops.clip((x - ops.mean(x, axis=1, keepdims=True)) / 60, -3, 3)
        waves = [wave(middle * (0.5 * np.pi * k)) for k in (0.5, 1, 2, 4) for wave in (ops.sin, ops.cos)]
        return ops.stack([before, after, middle, *waves], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape, 11)


class Blend(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Mixes logits of the CNN, scaled and shifted, with logits of the RNN, with a learnt share for each label."""

    def build(self, cnn_shape: Any, rnn_shape: Any) -> None:  # noqa: ARG002 - Keras passes both by name
        self.share = self.add_weight(shape=(CLASSES,), initializer="zeros", name="share")
        self.scale = self.add_weight(shape=(CLASSES,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(CLASSES,), initializer="zeros", name="shift")

    def call(self, cnn: Any, rnn: Any) -> Any:
        share = ops.sigmoid(self.share)
        return share * (cnn * self.scale + self.shift) + (1 - share) * rnn

    def compute_output_shape(self, cnn_shape: Any, rnn_shape: Any) -> Any:  # noqa: ARG002 - Keras passes both by name
        return cnn_shape


class Temperatures(layers.Layer):  # type: ignore[misc] # Keras has no types
    """From logits to probabilities, with one temperature for `any` and one for the subtypes, by slice and by series.

    `any` is at least the largest subtype.
    """

    def build(self, *_: Any) -> None:
        for name in ("slice", "series"):
            weight = self.add_weight(shape=(CLASSES,), initializer="ones", trainable=False, name=f"{name}_temperatures")
            setattr(self, name, weight)

    def call(self, slices: Any, series: Any) -> dict[str, Any]:
        return {
            "slice_probabilities": self._probabilities(slices / self.slice),
            "series_probabilities": self._probabilities(series / self.series),
        }

    def _probabilities(self, logits: Any) -> Any:
        each = ops.sigmoid(logits)
        return ops.concatenate([ops.max(each, axis=-1, keepdims=True), each[..., 1:]], axis=-1)


def build_rnn(shape: RnnShape, last: layers.Dense, features: NDArray[np.float32]) -> Rnn:
    """Return a network with fresh weights behind a CNN's last layer.

    Parameters
    ----------
    features : (m, d), whose mean and variance normalise the input
    """
    size = features.shape[-1]
    values = keras.Input((None, size), name="features")
    position_mm = keras.Input((None,), name="position_mm")
    standard = layers.Normalization(axis=-1, mean=features.mean(axis=0), variance=features.var(axis=0) + 1e-3)
    x = ops.clip(standard(values), -6, 6)
    x = layers.Dense(shape.width, activation="relu")(layers.Dropout(shape.dropout)(x))
    x = layers.Concatenate()([x, PositionEncoding()(position_mm)])
    x = layers.Bidirectional(layers.GRU(shape.state, return_sequences=True, use_cudnn=False))(x)
    x = layers.Dropout(shape.dropout)(x)
    cnn = _frozen_copy(last, size)(values)
    slices = Blend(name="blend")(cnn, layers.Dense(CLASSES)(x))
    series = Blend(name="series_blend")(ops.max(slices, axis=1), _pooled(x))
    series = Blend(name="series_own")(ops.max(cnn, axis=1), series)
    return Rnn(keras.Model([values, position_mm], [slices, series]), new_temperatures())


def new_temperatures() -> Temperatures:
    """Return the layer with all temperatures at 1."""
    temperatures = Temperatures(name="temperatures")
    temperatures.build()
    return temperatures


def joined(members: Sequence[Rnn]) -> Rnn:
    """Return one network with the mean logits of several of the same shape, and with temperatures of its own."""
    if len(members) == 1:
        return members[0]
    inputs = [keras.Input(given.shape[1:], name=given.name) for given in members[0].logits.inputs]
    slices, series = zip(*(member.logits(inputs) for member in members), strict=True)
    return Rnn(keras.Model(inputs, [layers.average(slices), layers.average(series)], name="rnns"), new_temperatures())


def _pooled(x: Any) -> Any:
    """Logits of the series, (b, 6), from the states of its slices."""
    both = layers.Concatenate()([ops.max(x, axis=1), ops.mean(x, axis=1)])
    return layers.Dense(CLASSES)(layers.Dense(32, activation="relu")(both))


def _frozen_copy(last: layers.Dense, size: int) -> layers.Dense:
    copy = layers.Dense(CLASSES, name="last", trainable=False)
    copy.build((None, size))
    copy.set_weights(last.get_weights())
    return copy
