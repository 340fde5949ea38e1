"""Random properties of scanners, applied to small pictures of phantoms, in Keras' operations for any backend."""

import math
from typing import Any

import keras
from keras import layers, ops

from services.common.recipe import DEFAULT_RECIPE, Window

BONE_WINDOW, SOFT_WINDOW = DEFAULT_RECIPE.windows[:2]  # of the two channels of small pictures
SOFT = 255 / SOFT_WINDOW.width_hu  # levels for a Hounsfield unit
SMOOTHER, SHARPER = 0.7, 0.8  # shares of detail that a kernel removes or adds
HILLS = 8  # along a side of the picture
MIDDLE = (35 - SOFT_WINDOW.lower_hu) * SOFT  # of 35 HU, about the brain's own
COARSER = (
    3.0,
    27 / 19,
)  # factors by which smoothing once, and once more, reduces the deviation of white noise


class RandomScanner(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Changes sharpness, slope, offset and noise of small pictures (n, 256, 256, 2), 0 to 255, in training only.

    noise_hu : largest standard deviation of added noise
    grain : largest share of noise over 3 x 3 pixels; above 1, of noise over 5 x 5 pixels
    slow_hu : largest standard deviation of slow variation, over an eighth of the picture
    kernel : change sharpness as a reconstruction kernel does, which leaves rims on the brain along bone
    one_scanner : draw the properties once for all pictures of a call, as for a series
    """

    def __init__(
        self,
        *,
        noise_hu: float,
        grain: float,
        seed: int,
        slow_hu: float = 0.0,
        kernel: bool = False,
        one_scanner: bool = False,
    ) -> None:
        super().__init__(dtype="float32", name="disturb")
        self.noise_hu, self.grain, self.slow_hu = noise_hu, grain, slow_hu
        self.kernel, self.one_scanner = kernel, one_scanner
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
        """Draw one number for each picture, or one for all."""
        count = 1 if self.one_scanner else ops.shape(soft)[0]
        return keras.random.uniform((count, 1, 1, 1), low, high, seed=self.seeds)


def _hounsfield(pictures: Any) -> Any:
    """Hounsfield units from both windows, (n, s, s, 1): fine inside the subdural window, in steps of 11 HU outside."""
    bone = _behind_a_window(pictures[..., :1], BONE_WINDOW)
    soft = _behind_a_window(pictures[..., 1:], SOFT_WINDOW)
    return soft + ops.relu(bone - SOFT_WINDOW.upper_hu) - ops.relu(SOFT_WINDOW.lower_hu - bone)


def _behind_a_window(levels: Any, window: Window) -> Any:
    return levels * (window.width_hu / 255) + window.lower_hu


def _through_a_window(hu: Any, window: Window) -> Any:
    return ops.clip((hu - window.lower_hu) * (255 / window.width_hu), 0, 255)


def _smooth(pictures: Any) -> Any:
    """Mean of 3 x 3 pixels, of fewer along the edges; much faster on a CPU than pooling."""
    return _sums(pictures) / _sums(ops.ones_like(pictures[:1]))


def _sums(pictures: Any) -> Any:
    """Sum of each pixel and its neighbours."""
    rows = ops.pad(pictures, ((0, 0), (1, 1), (0, 0), (0, 0)))
    rows = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    both = ops.pad(rows, ((0, 0), (0, 0), (1, 1), (0, 0)))
    return both[:, :, :-2] + both[:, :, 1:-1] + both[:, :, 2:]
