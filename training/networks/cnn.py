"""The CNN of phantoms: from pictures of the recipe to feature vectors and maps of blood.

    slices (n, 512, 512, 3) uint8 -> small (n, 256, 256, 2) -> brain (n, 256, 256, 3) -> trunk -> features (n, 256)
                                                                                          |-> blood (n, 32, 32, 5)

`BrainChannels` blanks everything outside the skull and gives bone one value: there phantoms are least like patients.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from services.common.labels import LABELS, SUBTYPES
from services.common.recipe import DEFAULT_RECIPE
from training.networks.backbones import Backbone, convolve, lite0, load_lite0, small

SMALL = (256, 256, 2)
BONE_WINDOW, SUBDURAL_WINDOW = DEFAULT_RECIPE.windows[:2]  # of a small picture's channels
BRAIN_HU = (15, 55)  # pixels of the brain's mean
WALL = 0.5  # share of bone above which a pixel belongs to the skull
_MEAN_OF_FOUR = np.zeros((2, 2, 3, 2), np.float32)  # of the bone and the subdural window
_MEAN_OF_FOUR[:, :, 0, 0] = _MEAN_OF_FOUR[:, :, 1, 1] = 0.25


@dataclass(frozen=True, slots=True)
class CnnShape:
    """Backbone and heads.

    backbone : gives the feature maps; EfficientNet-Lite0 starts with ImageNet's weights
    widths : filters of the small backbone's stages, from half the resolution of a small picture down
    neck : filters of the map of blood before its last convolution
    features : size of the RNN's input
    """

    backbone: Backbone = "small"
    widths: tuple[int, ...] = (24, 48, 96, 160, 224)
    neck: int = 64
    features: int = 256
    dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class Cnn:
    """A CNN as models for training and serving, which share their weights.

    serving : slices (n, 512, 512, 3) uint8 to features (n, d) and shares of blood (n, 32, 32, 5)
    trunk : small pictures (n, 256, 256, 2) to features (n, d) and logits of these shares
    last : features (n, d) to logits (n, 6)
    """

    serving: keras.Model
    trunk: keras.Model
    last: keras.layers.Dense


def weights(cnn: Cnn) -> list[Any]:
    """Return the weights of trunk and last layer, without the seed states of dropout."""
    variables = [*cnn.trunk.variables, *cnn.last.variables]
    return [variable for variable in variables if "float" in variable.dtype]


class BrainChannels(layers.Layer):  # type: ignore[misc] # Keras has no types
    """From small pictures (n, 256, 256, 2), 0 to 255, to the brain relative to its mean, the brain, and bone."""

    def call(self, small: Any) -> Any:
        small = ops.cast(small, "float32")
        hu = small[..., 1:] * (SUBDURAL_WINDOW.width_hu / 255) + SUBDURAL_WINDOW.lower_hu
        above_hu = small[..., :1] * (BONE_WINDOW.width_hu / 255) - (150 - BONE_WINDOW.lower_hu)
        bone = ops.clip(above_hu / 150, 0, 1)
        inside = self._inside(bone) * (1 - bone)
        tissue = inside * ops.cast((hu > BRAIN_HU[0]) & (hu < BRAIN_HU[1]), "float32")
        mean = ops.sum(hu * tissue, axis=(1, 2), keepdims=True) + 30 * 100
        mean = mean / (ops.sum(tissue, axis=(1, 2), keepdims=True) + 100)
        relative = ops.clip((hu - mean) / 15, -2.5, 3.5) * inside
        absolute = (ops.clip(hu, 0, 80) / 40 - 1) * inside
        return ops.concatenate([relative, absolute, bone], axis=-1)

    def _inside(self, bone: Any) -> Any:
        """1 at pixels with bone on all four sides, else 0."""
        wall = ops.cast(bone > WALL, "float32")
        (rows, first_row, last_row), (columns, first_column, last_column) = (_extent(wall, axis) for axis in (1, 2))
        between_rows = (rows >= first_row) & (rows < last_row)
        between_columns = (columns >= first_column) & (columns < last_column)
        return ops.cast(between_rows & between_columns, "float32")

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:-1], 3)


def _extent(wall: Any, axis: int) -> tuple[Any, Any, Any]:
    """Positions along an axis from 1 on, and the first and the last one with a wall: 0 as the last without any."""
    size = wall.shape[axis]
    positions = np.arange(1, size + 1, dtype=np.float32).reshape([-1 if each == axis else 1 for each in range(4)])
    last = ops.max(wall * positions, axis=axis, keepdims=True)
    first = size + 1 - ops.max(wall * (size + 1 - positions), axis=axis, keepdims=True)
    return positions, first, last


class Shrink(layers.Layer):  # type: ignore[misc] # Keras has no types
    """`training.networks.shrink.shrink` as one convolution, whose sums are exact in float32."""

    def call(self, slices: Any) -> Any:
        means = ops.conv(ops.cast(slices, "float32"), _MEAN_OF_FOUR, strides=2, padding="valid")
        return ops.floor(means + 0.5)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *SMALL)


def build_cnn(shape: CnnShape) -> Cnn:
    """Return a network with fresh weights, or with ImageNet's in EfficientNet-Lite0."""
    pictures = keras.Input(SMALL, name="small")
    levels = _levels(shape, BrainChannels()(pictures))
    blood = _blood(levels, shape.neck)
    pooled = layers.Dropout(shape.dropout)(_pooled(levels[-1], blood))
    features = layers.Dense(shape.features, activation="relu", name="features")(pooled)
    trunk = keras.Model(pictures, [features, blood], name="trunk")
    if shape.backbone == "efficientnet-lite0":
        load_lite0(trunk)
    last = layers.Dense(len(LABELS), name="last")
    last.build((None, features.shape[-1]))
    slices = keras.Input((512, 512, 3), dtype="uint8", name="slices")
    vector, grid = trunk(Shrink()(slices))
    serving = keras.Model(slices, [vector, layers.Activation("sigmoid")(grid)], name="cnn")
    return Cnn(serving, trunk, last)


def _levels(shape: CnnShape, brain: Any) -> list[Any]:
    return lite0(brain) if shape.backbone == "efficientnet-lite0" else small(brain, shape.widths)


def _pooled(top: Any, blood: Any) -> Any:
    """Pooled features of the coarsest map, and the largest and the mean blood of the grid."""
    share = ops.sigmoid(blood)
    pooled = [layers.GlobalAveragePooling2D()(top), layers.GlobalMaxPooling2D()(top)]
    pooled += [layers.GlobalMaxPooling2D()(blood) / 4, layers.GlobalAveragePooling2D()(share) * 20]
    return layers.Concatenate()(pooled)


def _blood(levels: list[Any], width: int) -> Any:
    """Logits (n, 32, 32, 5) from the maps of all levels, upsampled to the finest one and added."""
    x = None
    for level in reversed(levels):
        side = layers.Conv2D(width, 1)(level)
        x = side if x is None else layers.UpSampling2D(2)(x) + side
    x = layers.Activation("relu")(x)
    x = convolve(x, width)
    return layers.Conv2D(len(SUBTYPES), 1, bias_initializer=keras.initializers.Constant(-4), name="blood")(x)
