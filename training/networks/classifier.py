"""CNNs by the name of their backbone: pictures of the recipe in, a feature vector out.

    slices (n, 512, 512, 3) uint8 -> resized -> as the backbone's weights expect it -> features (n, d)

All of it is in the graph, so that serving can't do it otherwise.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final

import keras
import tensorflow as tf
from keras import layers

from services.common.labels import LABELS
from training.io.errors import TrainingError
from training.networks.backbones import lite0
from training.networks.cnn import Cnn, CnnShape, build_cnn
from training.options.cnn import CnnPlan, Precision

BRAINS: Final = {"brain-lite0": "efficientnet-lite0", "brain-small": "small"}  # the phantoms' networks
LITE0: Final = "efficientnet-lite0"
PICTURE: Final = (512, 512, 3)


class Standardise(layers.Layer):  # type: ignore[misc] # Keras has no types
    """Levels of 0 to 255 as ImageNet's weights of a backbone expect them, by Keras' own function of that backbone."""

    def __init__(self, backbone: str, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self._function = _lite0_levels if backbone == LITE0 else _levels_of(backbone)

    def call(self, levels: Any) -> Any:
        return self._function(levels)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


def build_classifier(plan: CnnPlan, precision: Precision = "float32") -> Cnn:
    """A network with fresh weights; layers compute in `precision`, features and logits are always float32.

    Raises
    ------
    TrainingError
        Keras has no such backbone
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _brain(plan) if plan.backbone in BRAINS else _built(plan)
    finally:
        keras.config.set_dtype_policy(before)


def builder_of(backbone: str) -> Callable[..., Any]:
    """The function of `keras.applications` that makes the backbone.

    Raises
    ------
    TrainingError
        there is none of that name
    """
    name = _names().get(_plain(backbone))
    if name is None:
        known = ", ".join([*BRAINS, LITE0, *sorted(_names())])
        raise TrainingError(f"There is no backbone {backbone}; there are {known}.")
    builder: Callable[..., Any] = getattr(keras.applications, name)
    return builder


def backbone_of(cnn: Cnn) -> keras.Model:
    """The backbone of Keras inside a trunk."""
    return next(layer for layer in cnn.trunk.layers if isinstance(layer, keras.Model))


def enter(cnn: Cnn, pictures: Any) -> Any:
    """Pictures (n, 512, 512, 3) float32, 0 to 255, as what the trunk takes; the phantoms' networks take less."""
    if cnn.trunk.input_shape[-1] == PICTURE[-1]:
        return pictures
    return tf.nn.avg_pool2d(pictures[..., : cnn.trunk.input_shape[-1]], 2, 2, "VALID")


def logits_of(cnn: Cnn, pictures: Any, *, training: bool) -> Any:
    """Logits (n, 6) float32 of float pictures."""
    given = cnn.trunk(enter(cnn, pictures), training=training)
    return cnn.last(given[0] if isinstance(given, (list, tuple)) else given)


def _built(plan: CnnPlan) -> Cnn:
    pictures = keras.Input(PICTURE, name="pictures")
    x = pictures
    if plan.side != PICTURE[0]:
        x = layers.Resizing(plan.side, plan.side, antialias=True, dtype="float32")(x)
    x = Standardise(plan.backbone)(x)
    top = lite0(x)[-1] if plan.backbone == LITE0 else _backbone(plan, x)
    vector = layers.Dropout(plan.dropout)(layers.GlobalAveragePooling2D()(top))
    features = layers.Activation("linear", dtype="float32", name="features")(vector)
    trunk = keras.Model(pictures, [features], name="trunk")
    slices = keras.Input(PICTURE, dtype="uint8", name="slices")
    serving = keras.Model(slices, trunk(layers.Rescaling(1.0, dtype="float32")(slices)), name="cnn")
    return Cnn(serving, trunk, _last(features.shape[-1]))


def _backbone(plan: CnnPlan, x: Any) -> Any:
    """The backbone as one layer of the trunk, so that a file of its weights fits it."""
    build = builder_of(plan.backbone)
    return build(weights=None, include_top=False, input_shape=(plan.side, plan.side, 3))(x)


def _brain(plan: CnnPlan) -> Cnn:
    """The phantoms' network without its map of blood, which labels of slices alone can't teach."""
    whole = build_cnn(CnnShape(backbone=BRAINS[plan.backbone], dropout=plan.dropout))  # type: ignore[arg-type] # a literal
    serving = keras.Model(whole.serving.inputs, whole.serving.outputs[:1], name="cnn")
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
