"""Small pictures as other scanners would give them: what a phantom is shown with each time that it is met."""

import math
from typing import Any

import keras
from keras import layers, ops

from services.common.recipe import DEFAULT_RECIPE, Window

BONE_WINDOW, SOFT_WINDOW = DEFAULT_RECIPE.windows[:2]  # of the two channels of small pictures
SOFT = 255 / SOFT_WINDOW.width_hu  # levels for a Hounsfield unit
SMOOTHER, SHARPER = 0.7, 0.8  # shares of what is finer than a kernel that it takes away or adds
HILLS = 8  # along a side of the picture
MIDDLE = (35 - SOFT_WINDOW.lower_hu) * SOFT  # of 35 HU, about the brain's own
COARSER = (
    3.0,
    27 / 19,
)  # what white noise loses of its deviation where it is smoothed once, and once more


class RandomScanner(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Small pictures (n, 256, 256, 2), 0 to 255, with another sharpness, slope, zero and noise; in training alone.

    noise_hu : the most noise that is added, as a standard deviation
    grain : the largest share of it that goes over 3 x 3 pixels; beyond 1, of that over 5 x 5
    slow_hu : the most that is added as hills and valleys of an eighth of the picture, as a standard deviation
    kernel : whether sharpness is that of a kernel, which acts on bone, too, and leaves rims on the brain along it
    alike : whether all pictures of a call come from one scanner, as those of a series do
    """

    def __init__(
        self,
        *,
        noise_hu: float,
        grain: float,
        seed: int,
        slow_hu: float = 0.0,
        kernel: bool = False,
        alike: bool = False,
    ) -> None:
        super().__init__(dtype="float32", name="disturb")
        self.noise_hu, self.grain, self.slow_hu = noise_hu, grain, slow_hu
        self.kernel, self.alike = kernel, alike
        self.seeds = keras.random.SeedGenerator(seed)

    def call(self, small: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 - Keras gives it so
        pictures = ops.cast(small, "float32")
        if not training:
            return pictures
        if self.kernel:
            pictures = self._through_a_kernel(pictures)
        bone, soft = pictures[..., :1], pictures[..., 1:]
        seen = soft if self.kernel else soft + self._drawn(soft, -0.5, 0.7) * (_smooth(soft) - soft)
        seen = (seen - MIDDLE) * self._drawn(soft, 0.85, 1.15) + MIDDLE + self._drawn(soft, -7, 7) * SOFT
        if self.slow_hu:
            seen = seen + self._hills(soft)
        seen = ops.where((soft > 0) & (soft < 255), seen + self._noise(soft), soft)  # noqa: PLR2004 - outside the window
        return ops.concatenate([bone, ops.clip(seen, 0, 255)], axis=-1)

    def _through_a_kernel(self, pictures: Any) -> Any:
        hu = _hounsfield(pictures)
        near = _smooth(hu)
        smooth = near + self._drawn(hu, 0, 1) * (_smooth(near) - near)
        hu = hu + self._drawn(hu, -SMOOTHER, SHARPER) * (hu - smooth)
        return ops.concatenate([_through_a_window(hu, window) for window in (BONE_WINDOW, SOFT_WINDOW)], axis=-1)

    def _noise(self, soft: Any) -> Any:
        noise = keras.random.normal(ops.shape(soft), seed=self.seeds)
        if self.grain:
            grain = self._drawn(soft, 0, self.grain)
            for already, gain in enumerate(COARSER[: math.ceil(self.grain)]):
                noise = noise + ops.clip(grain - already, 0, 1) * (gain * _smooth(noise) - noise)
        return noise * self._drawn(soft, 0, self.noise_hu) * SOFT

    def _hills(self, soft: Any) -> Any:
        count, rows, columns, _ = ops.shape(soft)
        coarse = keras.random.normal((count, HILLS, HILLS, 1), seed=self.seeds)
        hills = ops.image.resize(coarse, (rows, columns), interpolation="bicubic")
        return hills * self._drawn(soft, 0, self.slow_hu) * SOFT

    def _drawn(self, soft: Any, low: float, high: float) -> Any:
        """One number for each picture, or for all."""
        count = 1 if self.alike else ops.shape(soft)[0]
        return keras.random.uniform((count, 1, 1, 1), low, high, seed=self.seeds)


def _hounsfield(pictures: Any) -> Any:
    """What both windows together show, (n, s, s, 1): fine within the subdural one, in steps of 11 HU beyond it."""
    bone = _behind_a_window(pictures[..., :1], BONE_WINDOW)
    soft = _behind_a_window(pictures[..., 1:], SOFT_WINDOW)
    return soft + ops.relu(bone - SOFT_WINDOW.upper_hu) - ops.relu(SOFT_WINDOW.lower_hu - bone)


def _behind_a_window(levels: Any, window: Window) -> Any:
    return levels * (window.width_hu / 255) + window.lower_hu


def _through_a_window(hu: Any, window: Window) -> Any:
    return ops.clip((hu - window.lower_hu) * (255 / window.width_hu), 0, 255)


def _smooth(pictures: Any) -> Any:
    """Means of 3 x 3 pixels, of fewer along the edges: much sooner there on a CPU than by pooling."""
    return _sums(pictures) / _sums(ops.ones_like(pictures[:1]))


def _sums(pictures: Any) -> Any:
    """Of each pixel and its eight neighbours, where there are such."""
    rows = ops.pad(pictures, ((0, 0), (1, 1), (0, 0), (0, 0)))
    rows = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    both = ops.pad(rows, ((0, 0), (0, 0), (1, 1), (0, 0)))
    return both[:, :, :-2] + both[:, :, 1:-1] + both[:, :, 2:]
