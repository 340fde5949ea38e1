"""Random transforms and windows of whole slices, in Keras' operations for any backend."""

from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops

from services.common.recipe import DEFAULT_RECIPE, Recipe
from training.augment.affine import transformed
from training.options.augment import SliceAugment

TOP: Final = 255.0


class RandomSlice(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Moves slices (n, s, s, 3) uint8 and changes their windows, in training only; returns float32 from 0 to 255."""

    def __init__(self, options: SliceAugment, *, seed: int, recipe: Recipe = DEFAULT_RECIPE) -> None:
        super().__init__(dtype="float32", name="random_slice")
        self.limits = options
        self.levels_a_hu = np.array([TOP / window.width_hu for window in recipe.windows], np.float32)
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, slices: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 - Keras gives it so
        pictures = ops.cast(slices, "float32")
        return self._with_windows(self._moved(pictures)) if training else pictures

    def _moved(self, pictures: Any) -> Any:
        """Mirror, shift, rotate and scale about the middle; air fills the rest."""
        limits, side = self.limits, pictures.shape[1]
        angle = self._drawn(pictures, limits.turn_degrees) * (np.pi / 180)
        scale = 1 + self._drawn(pictures, limits.scale)
        mirror = ops.where(ops.logical_and(self._drawn(pictures, 1) < 0, limits.flip), -1.0, 1.0)
        shift = ops.stack([self._drawn(pictures, limits.shift) * side for _ in range(2)], axis=1)
        cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
        rows = ops.stack([cos * mirror, -sin, sin * mirror, cos], axis=1)
        return transformed(pictures, ops.reshape(rows, (-1, 2, 2)), shift)

    def _with_windows(self, pictures: Any) -> Any:
        """Change centre and width of the windows; values outside a window stay there."""
        shift = self._drawn(pictures, self.limits.window_hu)[:, None, None, None] * self.levels_a_hu
        width = 1 + self._drawn(pictures, self.limits.window_width)[:, None, None, None]
        seen = ops.clip((pictures - TOP / 2) * width + TOP / 2 + shift, 0, TOP)
        return ops.where(ops.logical_and(pictures > 0, pictures < TOP), seen, pictures)

    def _drawn(self, pictures: Any, limit: float) -> Any:
        """One number from -limit to limit for each picture, (n,)."""
        return keras.random.uniform((ops.shape(pictures)[0],), -limit, limit, seed=self.seeds)
