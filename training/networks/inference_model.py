"""The form of a CNN that a bundle holds: the same function of the same variables, in operations that engines fuse."""

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from numpy.typing import NDArray

_CONVOLUTIONS: Final = (layers.Conv2D, layers.DepthwiseConv2D)


def inference_model(model: keras.Model) -> keras.Model:
    """Return a model for inference on the variables of `model`, which stays as it is.

    A batch normalisation after a convolution becomes part of the convolution's kernel and bias. Antialiased resizing
    becomes two matrix products, since OpenVINO refuses `ScaleAndTranslate`.
    """
    convolutions: dict[int, tuple[Any, Any, Any]] = {}

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, layers.BatchNormalization) and id(inputs[0]) in convolutions:
            convolution, x, _ = convolutions[id(inputs[0])]
            return FoldedConvolution(convolution, layer)(x)
        if isinstance(layer, layers.Resizing) and layer.antialias:
            return AntialiasedResizing(layer.height, layer.width)(inputs[0])
        given = layer(*inputs, **options)
        if type(layer) in _CONVOLUTIONS and layer.activation is keras.activations.linear:
            convolutions[id(given)] = (layer, inputs[0], given)  # keeps `given` alive, and so its id unique
        return given

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call, recursive=True)


class FoldedConvolution(layers.Layer):  # type: ignore[misc] # Keras has no types
    """A convolution and the batch normalisation after it, in one convolution with a bias (channels last)."""

    def __init__(self, convolution: Any, normalisation: layers.BatchNormalization) -> None:
        super().__init__(dtype="float32")
        self._convolution, self._normalisation = convolution, normalisation

    def call(self, x: Any) -> Any:
        scale, bias = self._affine()
        return tf.nn.bias_add(self._convolve(x, scale), bias)

    def _affine(self) -> tuple[Any, Any]:
        """Factor and bias of each channel."""
        normalisation = self._normalisation
        scale = ops.rsqrt(normalisation.moving_variance + normalisation.epsilon)
        if normalisation.scale:
            scale = scale * normalisation.gamma
        own_bias = self._convolution.bias if self._convolution.use_bias else 0
        bias = (own_bias - normalisation.moving_mean) * scale
        return scale, bias + normalisation.beta if normalisation.center else bias

    def _convolve(self, x: Any, scale: Any) -> Any:
        layer = self._convolution
        if isinstance(layer, layers.Conv2D):
            return layer.convolution_op(x, layer.kernel * scale)
        kernel = layer.kernel * ops.reshape(scale, layer.kernel.shape[-2:])
        return ops.depthwise_conv(x, kernel, layer.strides, layer.padding, dilation_rate=layer.dilation_rate)


class AntialiasedResizing(layers.Layer):  # type: ignore[misc] # Keras has no types
    """`layers.Resizing(rows, columns, antialias=True)` in matrix products."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(dtype="float32")
        self._rows, self._columns = rows, columns

    def call(self, pictures: Any) -> Any:
        _, height, width, channels = pictures.shape
        by_row = ops.reshape(pictures, (-1, height, width * channels))
        resized = ops.matmul(triangle_weights(height, self._rows), by_row)
        columns_last = ops.transpose(ops.reshape(resized, (-1, self._rows, width, channels)), (0, 1, 3, 2))
        resized = ops.matmul(columns_last, triangle_weights(width, self._columns).T)
        return ops.transpose(resized, (0, 1, 3, 2))


def triangle_weights(size: int, resized: int) -> NDArray[np.float32]:
    """Return the matrix (resized, size) of TensorFlow's antialiased bilinear interpolation."""
    step = size / resized
    centres = (np.arange(resized) + 0.5) * step - 0.5
    distances = np.abs(centres[:, None] - np.arange(size)) / max(step, 1.0)
    weights = np.maximum(1 - distances, 0)
    normalised: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised
