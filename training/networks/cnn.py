"""The CNN: a picture of the recipe in, a feature vector and a map of blood out.

    slices (n, 512, 512, 3) uint8 -> small (n, 256, 256, 2) -> look (n, 256, 256, 3) -> trunk -> features (n, 256)
                                                                                         |-> blood (n, 32, 32, 5)

`look` shows the trunk the brain and little else: what lies outside the skull is blanked and bone is one plain value, as
phantoms are least like patients there.
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from services.common.labels import LABELS, SUBTYPES
from services.common.recipe import DEFAULT_RECIPE
from training.networks.backbones import Backbone, convolve, lite0, load_lite0, small
from training.networks.shrink import shrink

SMALL = (256, 256, 2)
BONE_WINDOW, SUBDURAL_WINDOW = DEFAULT_RECIPE.windows[:2]  # of a small picture's channels
BRAIN_HU = (15, 55)  # what counts for the brain's mean
WALL = 0.5  # a pixel with this share of bone closes the skull


@dataclass(frozen=True, slots=True)
class CnnShape:
    """The trunk and what follows it.

    backbone : whose maps the rest is made from; EfficientNet-Lite0 begins with ImageNet's weights
    widths : of the small backbone, from half the small picture's resolution down
    neck : width of the map of blood before its last step
    features : length of the vector that the RNN gets
    """

    backbone: Backbone = "small"
    widths: tuple[int, ...] = (24, 48, 96, 160, 224)
    neck: int = 64
    features: int = 256
    dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class Cnn:
    """One network and the ways into it; all share their weights.

    serving : uint8 pictures to features and to the share of blood in each cell of a grid of 32 x 32
    trunk : small pictures to features and to the logits of these shares
    last : features to six logits
    """

    serving: keras.Model
    trunk: keras.Model
    last: keras.layers.Dense


def weights(cnn: Cnn) -> list[Any]:
    """All that a network is, without what it draws from in training."""
    every = [*cnn.trunk.variables, *cnn.last.variables]
    return [variable for variable in every if "float" in variable.dtype]


class Look(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Small pictures, 0 to 255, as three channels: the brain against its own mean, the brain as it is, bone."""

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
        """1 where bone lies on all four sides."""
        wall = ops.cast(bone > WALL, "float32")
        inside = ops.ones_like(wall)
        for axis in (1, 2):
            before = ops.cumsum(wall, axis=axis)
            after = ops.sum(wall, axis=axis, keepdims=True) - before
            inside = inside * ops.cast((before > 0) & (after > 0), "float32")
        return inside

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:-1], 3)


class Shrink(layers.Layer):  # type: ignore[misc] # Keras has no types
    """The first step of the graph: see `training.networks.shrink`."""

    def call(self, slices: Any) -> Any:
        return shrink(ops.cast(slices[..., :2], "int32"))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *SMALL)


def build_cnn(shape: CnnShape) -> Cnn:
    """A network with fresh weights, to be trained."""
    pictures = keras.Input(SMALL, name="small")
    levels = _levels(shape, Look()(pictures))
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


def _levels(shape: CnnShape, look: Any) -> list[Any]:
    return lite0(look) if shape.backbone == "efficientnet-lite0" else small(look, shape.widths)


def _pooled(top: Any, blood: Any) -> Any:
    """What the whole picture looks like, and where and how much blood the grid shows."""
    share = ops.sigmoid(blood)
    pooled = [layers.GlobalAveragePooling2D()(top), layers.GlobalMaxPooling2D()(top)]
    pooled += [layers.GlobalMaxPooling2D()(blood) / 4, layers.GlobalAveragePooling2D()(share) * 20]
    return layers.Concatenate()(pooled)


def _blood(levels: list[Any], width: int) -> Any:
    """The trunk's upper levels brought together on the finest of their grids, and six logits less one a cell."""
    x = None
    for level in reversed(levels):
        side = layers.Conv2D(width, 1)(level)
        x = side if x is None else layers.UpSampling2D(2)(x) + side
    x = layers.Activation("relu")(x)
    x = convolve(x, width)
    return layers.Conv2D(len(SUBTYPES), 1, bias_initializer=keras.initializers.Constant(-4), name="blood")(x)
