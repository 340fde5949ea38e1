"""CNNs by the name of their backbone.

    slices (n, 512, 512, 3) uint8 -> resized -> standardised for the backbone's weights -> features (n, d)

All steps are in the graph, so that serving is the same as training.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from services.common.labels import LABELS
from training.io.errors import TrainingError
from training.networks.backbones import lite0
from training.networks.cnn import Cnn, CnnShape, build_cnn
from training.options.cnn import Precision

BRAINS: Final = {"brain-lite0": "efficientnet-lite0", "brain-small": "small"}  # the networks of phantoms
LITE0: Final = "efficientnet-lite0"
PICTURE: Final = (512, 512, 3)


@dataclass(frozen=True, slots=True)
class ClassifierShape:
    """A backbone and its input.

    backbone : a name of `keras.applications`, "efficientnet-lite0", or "brain-lite0" and "brain-small", the networks of
        phantoms (`training.networks.cnn`), which may start with the weights of a bundle of phantoms
    side : rows and columns of the backbone's input
    """

    backbone: str
    side: int = 512
    dropout: float = 0.0


class Standardise(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Scales levels from 0 to 255 as ImageNet's weights of a backbone expect, by Keras' function for it."""

    def __init__(self, backbone: str, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self._function = _lite0_levels if backbone == LITE0 else _levels_of(backbone)

    def call(self, levels: Any) -> Any:
        return self._function(levels)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


def build_classifier(shape: ClassifierShape, precision: Precision = "float32") -> Cnn:
    """Return a network with fresh weights; layers compute in `precision`, features and logits in float32.

    Raises
    ------
    TrainingError
        Keras has no such backbone
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _brain(shape) if shape.backbone in BRAINS else _built(shape)
    finally:
        keras.config.set_dtype_policy(before)


def builder_of(backbone: str) -> Callable[..., Any]:
    """Return the function of `keras.applications` that builds the backbone.

    Raises
    ------
    TrainingError
        there is none of that name
    """
    name = _names().get(_plain(backbone))
    if name is None:
        known = ", ".join([*BRAINS, LITE0, *sorted(_names())])
        raise TrainingError(f"There is no backbone {backbone}; use one of {known}.")
    builder: Callable[..., Any] = getattr(keras.applications, name)
    return builder


def backbone_of(cnn: Cnn) -> keras.Model:
    """Return the Keras backbone of a trunk."""
    return next(layer for layer in cnn.trunk.layers if isinstance(layer, keras.Model))


def enter(cnn: Cnn, pictures: Any) -> Any:
    """Return the trunk's input from pictures (n, 512, 512, 3), 0 to 255, or from small pictures (n, 256, 256, 2)."""
    wanted = cnn.trunk.input_shape
    if pictures.shape[1] == wanted[1]:
        return pictures
    return ops.average_pool(ops.cast(pictures[..., : wanted[-1]], "float32"), 2, 2)


def predict_logits(cnn: Cnn, slices: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits (n, 6) of slices (n, 512, 512, 3)."""
    given = cnn.trunk.predict_on_batch(np.asarray(enter(cnn, slices.astype(np.float32))))
    vector = given[0] if isinstance(given, (list, tuple)) else given
    return np.asarray(vector @ np.asarray(cnn.last.kernel) + np.asarray(cnn.last.bias), np.float32)


def _built(shape: ClassifierShape) -> Cnn:
    pictures = keras.Input(PICTURE, name="pictures")
    x = pictures
    if shape.side != PICTURE[0]:
        x = layers.Resizing(shape.side, shape.side, antialias=True, dtype="float32")(x)
    x = Standardise(shape.backbone)(x)
    top = lite0(x)[-1] if shape.backbone == LITE0 else _backbone(shape, x)
    vector = layers.Dropout(shape.dropout)(layers.GlobalAveragePooling2D()(top))
    features = layers.Activation("linear", dtype="float32", name="features")(vector)
    trunk = keras.Model(pictures, [features], name="trunk")
    slices = keras.Input(PICTURE, dtype="uint8", name="slices")
    serving = keras.Model(slices, trunk(layers.Rescaling(1.0, dtype="float32")(slices)), name="cnn")
    return Cnn(serving, trunk, _last(features.shape[-1]))


def _backbone(shape: ClassifierShape, x: Any) -> Any:
    """The backbone as one layer of the trunk, so that a file of its weights fits."""
    build = builder_of(shape.backbone)
    return build(weights=None, include_top=False, input_shape=(shape.side, shape.side, 3))(x)


def _brain(shape: ClassifierShape) -> Cnn:
    """The network of phantoms without its map of blood, for which labels of slices are not enough."""
    whole = build_cnn(CnnShape(backbone=BRAINS[shape.backbone], dropout=shape.dropout))  # type: ignore[arg-type] # a literal
    serving = keras.Model(whole.serving.input, whole.serving.outputs[:1], name="cnn")
    return Cnn(serving, whole.trunk, whole.last)


def _last(size: int) -> layers.Dense:
    last = layers.Dense(len(LABELS), dtype="float32", name="last")
    last.build((None, size))
    return last


def _names() -> dict[str, str]:
    return {_plain(name): name for name in dir(keras.applications) if name[0].isupper()}


def _plain(name: str) -> str:
    return name.lower().replace("-", "")


def _levels_of(backbone: str) -> Any:
    return importlib.import_module(builder_of(backbone).__module__).preprocess_input


def _lite0_levels(levels: Any) -> Any:
    return levels / 127.5 - 1
