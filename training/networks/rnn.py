"""The RNN: the features of a series in, calibrated probabilities of every slice and of the series out.

It sees where slices lie only by the distances between them, since a scanner's zero is anywhere. The CNN's own opinion
comes in through a copy of its last layer, and each class learns how far to trust it.
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
    """Widths: of what features are brought down to, and of the state in each direction."""

    width: int = 96
    state: int = 64
    dropout: float = 0.3


@dataclass(frozen=True, slots=True)
class Rnn:
    """One network and the ways into it; both share their weights.

    logits : (b, n, d) features and (b, n) positions to (b, n, 6) and (b, 6) logits, for training
    temperatures : the last step of the graph, from logits to probabilities
    """

    logits: keras.Model
    temperatures: "Temperatures"

    def serving(self, features: Any, position_mm: Any) -> dict[str, Any]:
        """Features (n, d) and positions (n,) of one series: what the service answers."""
        slices, series = self.logits([features[None], position_mm[None]], training=False)
        answer: dict[str, Any] = self.temperatures(slices[0], series[0])
        return answer


class Places(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Positions in mm, (b, n), as (b, n, 11) numbers that stay the same when all positions move together."""

    def call(self, position_mm: Any) -> Any:
        # The first position goes first: far from zero, float32 would lose what the differences are about.
        x = position_mm - position_mm[:, :1]
        gaps = ops.clip(x[:, 1:] - x[:, :-1], -15, 15) / 10
        before, after = ops.pad(gaps, ((0, 0), (1, 0))), ops.pad(gaps, ((0, 0), (0, 1)))
        middle = ops.clip((x - ops.mean(x, axis=1, keepdims=True)) / 60, -3, 3)
        waves = [wave(middle * (0.5 * np.pi * k)) for k in (0.5, 1, 2, 4) for wave in (ops.sin, ops.cos)]
        return ops.stack([before, after, middle, *waves], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape, 11)


class Blend(layers.Layer):  # type: ignore[misc] # Keras has no types
    """For each class a share of the CNN's opinion and a shift of it; the rest is the RNN's."""

    def build(self, own_shape: Any, rnn_shape: Any) -> None:  # noqa: ARG002 - Keras goes by the names
        self.share = self.add_weight(shape=(CLASSES,), initializer="zeros", name="share")
        self.scale = self.add_weight(shape=(CLASSES,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(CLASSES,), initializer="zeros", name="shift")

    def call(self, own: Any, rnn: Any) -> Any:
        share = ops.sigmoid(self.share)
        return share * (own * self.scale + self.shift) + (1 - share) * rnn

    def compute_output_shape(self, own_shape: Any, rnn_shape: Any) -> Any:  # noqa: ARG002 - Keras goes by the names
        return own_shape


class Temperatures(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Logits to probabilities: one temperature for `any` and one for the subtypes, of slices and of series.

    `any` is never less than the largest subtype.
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
        every = ops.sigmoid(logits)
        return ops.concatenate([ops.max(every, axis=-1, keepdims=True), every[..., 1:]], axis=-1)


def build_rnn(shape: RnnShape, last: layers.Dense, features: NDArray[np.float32]) -> Rnn:
    """A network with fresh weights behind a CNN's last layer; `features` (m, d) say what features are like."""
    size = features.shape[-1]
    values = keras.Input((None, size), name="features")
    position_mm = keras.Input((None,), name="position_mm")
    standard = layers.Normalization(axis=-1, mean=features.mean(axis=0), variance=features.var(axis=0) + 1e-3)
    x = ops.clip(standard(values), -6, 6)
    x = layers.Dense(shape.width, activation="relu")(layers.Dropout(shape.dropout)(x))
    x = layers.Concatenate()([x, Places()(position_mm)])
    x = layers.Bidirectional(layers.GRU(shape.state, return_sequences=True, use_cudnn=False))(x)
    x = layers.Dropout(shape.dropout)(x)
    own = _copy(last, size)(values)
    slices = Blend(name="blend")(own, layers.Dense(CLASSES)(x))
    series = Blend(name="series_blend")(ops.max(slices, axis=1), _pooled(x))
    series = Blend(name="series_own")(ops.max(own, axis=1), series)
    temperatures = Temperatures(name="temperatures")
    temperatures.build()
    return Rnn(keras.Model([values, position_mm], [slices, series]), temperatures)


def joined(members: Sequence[Rnn]) -> Rnn:
    """Networks of one form as one that answers the mean of their logits; its temperatures are its own."""
    if len(members) == 1:
        return members[0]
    inputs = [keras.Input(given.shape[1:], name=given.name) for given in members[0].logits.inputs]
    slices, series = zip(*(member.logits(inputs) for member in members), strict=True)
    temperatures = Temperatures(name="temperatures")
    temperatures.build()
    return Rnn(keras.Model(inputs, [layers.average(slices), layers.average(series)], name="rnns"), temperatures)


def _pooled(x: Any) -> Any:
    both = layers.Concatenate()([ops.max(x, axis=1), ops.mean(x, axis=1)])
    return layers.Dense(CLASSES)(layers.Dense(32, activation="relu")(both))


def _copy(last: layers.Dense, size: int) -> layers.Dense:
    copy = layers.Dense(CLASSES, name="last", trainable=False)
    copy.build((None, size))
    copy.set_weights(last.get_weights())
    return copy
