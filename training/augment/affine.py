"""Random affine transforms of small pictures and of their maps of blood, in Keras' operations for any backend."""

import math
from typing import Any

import keras
from keras import layers, ops

SMALLEST, LARGEST = 0.86, 1.06  # scales at which a head stays inside its picture
SHEAR = 0.06


class RandomAffine(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Rotates by at most `most_deg`, scales and shears pictures (n, s, s, c), in training only.

    Returns the pictures as float32 and the transforms (n, 2, 2).
    """

    def __init__(self, *, most_deg: float, seed: int) -> None:
        super().__init__(dtype="float32", name="turn")
        self.most_deg = most_deg
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, small: Any, training: bool = False) -> tuple[Any, Any]:  # noqa: FBT001, FBT002 - Keras gives it so
        pictures, count = ops.cast(small, "float32"), ops.shape(small)[0]
        if not training:
            return pictures, ops.broadcast_to(ops.eye(2), (count, 2, 2))
        transforms = self._transforms(count)
        return transformed(pictures, transforms), transforms

    def _transforms(self, count: Any) -> Any:
        """From a pixel's place, relative to the middle, to the place of its value."""
        angle = self._drawn(count, -1, 1) * (math.radians(self.most_deg))
        larger, shear = self._drawn(count, SMALLEST, LARGEST), self._drawn(count, -SHEAR, SHEAR)
        cosine, sine = ops.cos(angle) / larger, ops.sin(angle) / larger
        rows = [cosine, shear * cosine - sine, sine, shear * sine + cosine]
        return ops.reshape(ops.stack(rows, axis=-1), (-1, 2, 2))

    def _drawn(self, count: Any, low: float, high: float) -> Any:
        return keras.random.uniform((count,), low, high, seed=self.seeds)


def transformed(pictures: Any, transforms: Any, shift: Any = 0.0) -> Any:
    """Apply transforms (n, 2, 2) about the middle, and a shift (n, 2) in columns and rows; fill with 0.

    Without a shift the middle stays, so that one transform serves a picture (n, s, s, c) and any coarser map of it.
    """
    middle = (pictures.shape[1] - 1) / 2
    moved = middle - ops.sum(transforms, axis=2) * middle + shift
    rows = ops.concatenate([transforms, moved[..., None]], axis=2)
    matrix = ops.concatenate([ops.reshape(rows, (-1, 6)), ops.zeros_like(moved)], axis=1)
    return ops.image.affine_transform(pictures, matrix, interpolation="bilinear", fill_mode="constant")
