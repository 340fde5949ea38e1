"""Pictures as other scanners, heads and readers' windows would give them; drawn from seed and step alone."""

from typing import Any, Final

import numpy as np
import tensorflow as tf

from services.common.recipe import Recipe
from training.augment.affine import turned
from training.options.augment import Augment

TOP: Final = 255.0


def augmented(slices: Any, seed: Any, plan: Augment, recipe: Recipe) -> Any:
    """Pictures (n, rows, columns, 3) uint8 moved and with other windows, as float32 of 0 to 255.

    seed : (2,) int32; the same gives the same
    """
    drawn = _Drawn(tf.shape(slices)[0], seed)
    pictures = tf.cast(slices, tf.float32)
    return _with_windows(_moved(pictures, drawn, plan), drawn, plan, recipe)


class _Drawn:
    """Numbers for each picture, each drawing from a seed of its own."""

    def __init__(self, count: Any, seed: Any) -> None:
        self._count, self._seed, self._number = count, seed, 0

    def between(self, low: float, high: float) -> Any:
        """(n,) float32."""
        self._number += 1
        seed = [self._seed[0], self._seed[1] * 16 + self._number]
        return tf.random.stateless_uniform([self._count], seed, low, high)


def _moved(pictures: Any, drawn: _Drawn, plan: Augment) -> Any:
    """Mirrored, shifted, turned and scaled about the middle; air comes in from outside."""
    side = tf.cast(tf.shape(pictures)[1], tf.float32)
    angle = drawn.between(-plan.turn_degrees, plan.turn_degrees) * (np.pi / 180)
    scale = 1 + drawn.between(-plan.scale, plan.scale)
    mirror = tf.where((drawn.between(0, 1) < 0.5) & plan.flip, -1.0, 1.0)  # noqa: PLR2004 - half of them
    down, right = (drawn.between(-plan.shift, plan.shift) * side for _ in range(2))
    cos, sin = tf.cos(angle) * scale, tf.sin(angle) * scale
    ways = tf.reshape(tf.stack([cos * mirror, -sin, sin * mirror, cos], axis=1), (-1, 2, 2))
    return turned(pictures, ways, tf.stack([right, down], axis=1))


def _with_windows(pictures: Any, drawn: _Drawn, plan: Augment, recipe: Recipe) -> Any:
    """Through windows whose centres and widths are a little other; what lay outside of a window stays there."""
    levels_a_hu = tf.constant([TOP / window.width_hu for window in recipe.windows])
    shift = drawn.between(-plan.window_hu, plan.window_hu)[:, None, None, None] * levels_a_hu
    width = 1 + drawn.between(-plan.window_width, plan.window_width)[:, None, None, None]
    seen = tf.clip_by_value((pictures - TOP / 2) * width + TOP / 2 + shift, 0, TOP)
    return tf.where((pictures > 0) & (pictures < TOP), seen, pictures)
