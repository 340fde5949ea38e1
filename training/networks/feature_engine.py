"""Features of a trained CNN on the faster engine: OpenVINO on a CPU where it converts the graph, else TensorFlow."""

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.cnn.model import MOST_SLICES
from services.common.engine_measurement import MAX_DIFFERENCE
from services.common.engines import EngineUnavailable, is_installed
from services.common.openvino_model import load_openvino
from services.common.reference import share_apart
from training.networks.inference_model import inference_model

LOG = logging.getLogger(__name__)
Engine = Callable[[NDArray[Any]], NDArray[np.float32]]


def feature_engine(model: keras.Model) -> Engine:
    """Compile a model of one input; the engine maps rows (n, ...) to the model's first output, (n, d).

    OpenVINO keeps the weights of this moment. It is taken where both engines give the same features to 1e-4.
    """
    tensorflow = _on_tensorflow(model)
    if tf.config.list_physical_devices("GPU") or not is_installed("openvino"):
        return tensorflow
    try:
        openvino = _on_openvino(model)
    except EngineUnavailable as error:
        LOG.info("TensorFlow computes features: %s", error)
        return tensorflow
    share = share_apart(*(engine(_example(model)) for engine in (tensorflow, openvino)))
    if share <= MAX_DIFFERENCE:
        return openvino
    LOG.info("TensorFlow computes features: those of OpenVINO differ by %.1e", share)
    return tensorflow


def write_saved_model(folder: Path, parts: list[Any], function: Any, signature: list[Any]) -> None:
    """Write a function as a SavedModel with the variables of `parts`."""
    module = tf.Module()
    # Keras' own export tracks every weight twice, which doubles the files.
    module.weights = [variable.value for part in parts for variable in part.variables]
    call = tf.function(function, input_signature=signature, jit_compile=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": call.get_concrete_function()})


def _on_tensorflow(model: keras.Model) -> Engine:
    graph = tf.function(lambda rows: _first(model(rows, training=False)), input_signature=[_spec(model)])
    return lambda rows: graph(tf.constant(rows, _spec(model).dtype)).numpy()


def _on_openvino(model: keras.Model) -> Engine:
    form, spec = inference_model(model), _spec(model)
    with TemporaryDirectory() as folder:
        write_saved_model(Path(folder), [model], lambda rows: {"features": _first(form(rows, training=False))}, [spec])
        call = load_openvino(Path(folder), most_rows=MOST_SLICES)
    return lambda rows: call(rows=np.asarray(rows, spec.dtype.as_numpy_dtype))["features"]


def _spec(model: keras.Model) -> tf.TensorSpec:
    return tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype, name="rows")


def _first(outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def _example(model: keras.Model) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, *model.inputs[0].shape[1:]), dtype=np.uint8)
