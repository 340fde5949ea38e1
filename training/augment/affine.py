"""Small pictures turned, scaled and sheared about their middle, each in its own way, and their maps of blood alike.

In Keras' own operations, as `Disturb` is: a GPU's machine may have no TensorFlow.
"""

import math
from typing import Any

import keras
from keras import layers, ops

SMALLEST, LARGEST = 0.86, 1.06  # a head hardly leaves its picture
SHEAR = 0.06


class Turn(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Pictures (n, s, s, c) turned by at most `most_deg`, and the ways (n, 2, 2) that they went; in training alone."""

    def __init__(self, *, most_deg: float, seed: int) -> None:
        super().__init__(dtype="float32", name="turn")
        self.most_deg = most_deg
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, small: Any, training: bool = False) -> tuple[Any, Any]:  # noqa: FBT001, FBT002 - Keras gives it so
        pictures, count = ops.cast(small, "float32"), ops.shape(small)[0]
        if not training:
            return pictures, ops.broadcast_to(ops.eye(2), (count, 2, 2))
        ways = self._ways(count)
        return turned(pictures, ways), ways

    def _ways(self, count: Any) -> Any:
        """From where a pixel lies, seen from the middle, to where its value comes from."""
        angle = self._drawn(count, -1, 1) * (math.radians(self.most_deg))
        larger, shear = self._drawn(count, SMALLEST, LARGEST), self._drawn(count, -SHEAR, SHEAR)
        cosine, sine = ops.cos(angle) / larger, ops.sin(angle) / larger
        rows = [cosine, shear * cosine - sine, sine, shear * sine + cosine]
        return ops.reshape(ops.stack(rows, axis=-1), (-1, 2, 2))

    def _drawn(self, count: Any, low: float, high: float) -> Any:
        return keras.random.uniform((count,), low, high, seed=self.seeds)


def turned(pictures: Any, ways: Any, shift: Any = 0.0) -> Any:
    """Pictures (n, s, s, c) as the ways (n, 2, 2) say, and the shift (n, 2), columns and rows; outside it is 0.

    Without a shift the middle stays where it is, so the same way turns a picture and any coarser map of it.
    """
    middle = (pictures.shape[1] - 1) / 2
    moved = middle - ops.sum(ways, axis=2) * middle + shift
    rows = ops.concatenate([ways, moved[..., None]], axis=2)
    transform = ops.concatenate([ops.reshape(rows, (-1, 6)), ops.zeros_like(moved)], axis=1)
    return ops.image.affine_transform(pictures, transform, interpolation="bilinear", fill_mode="constant")
