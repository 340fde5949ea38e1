"""SavedModels as compiled graph calls, for cnn and rnn. The only TensorFlow outside training."""

import logging
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Only CPUs with AVX512_VNNI have oneDNN by default; with it the default CNN takes half the time on any.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from services.common.engines import EngineUnavailable, Signature
from services.common.settings import Device

log = logging.getLogger(__name__)


class GpuNotFound(EngineUnavailable):
    """A GPU is required, and TensorFlow finds none."""


def configure_device(device: Device, *, mixed_precision: bool = False) -> str:
    """Choose the device of all graphs, before the first one is loaded. GPU memory grows on demand.

    Parameters
    ----------
    mixed_precision : lets a GPU compute in 16 bits where TensorFlow's own rules allow it; no effect on a CPU

    Returns
    -------
    "gpu" or "cpu"

    Raises
    ------
    GpuNotFound
        `device` is "gpu", and there is none
    """
    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise GpuNotFound("TensorFlow finds no GPU: check the driver and `tensorflow[and-cuda]`, or use the CPU")
    if not gpus:
        tf.config.set_visible_devices([], "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)  # noqa: FBT003 - TensorFlow's signature
    if gpus and mixed_precision:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision": True})
    log.info("device", extra={"fields": {"device": "gpu" if gpus else "cpu", "gpus": len(gpus)}})
    return "gpu" if gpus else "cpu"


def load_signature(folder: Path) -> Signature:
    """The `serving_default` function of a SavedModel: keyword tensors in, a dictionary of tensors out."""
    model = tf.saved_model.load(str(folder))
    signature = model.signatures["serving_default"]

    def call(**arrays: Any) -> dict[str, Any]:
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        return {name: tensor.numpy() for name, tensor in signature(**tensors).items()}

    call.model = model  # type: ignore[attr-defined] # keeps the variables alive; a signature does not
    return call


def load_frozen(folder: Path) -> Signature:
    """As `load_signature`, with variables as constants.

    A call of the default CNN takes 3 to 23 % less processor time, the more the fewer slices. Loops get slower.
    """
    model = tf.saved_model.load(str(folder))  # keeps the variables alive meanwhile
    signature = model.signatures["serving_default"]
    frozen = convert_variables_to_constants_v2(signature, lower_control_flow=False)
    inputs = [tensor.name.split(":")[0] for tensor in frozen.inputs]
    outputs = sorted(signature.structured_outputs)  # as TensorFlow flattens a dictionary

    def call(**arrays: Any) -> dict[str, Any]:
        tensors = frozen(*(tf.constant(arrays[name]) for name in inputs))
        return {name: tensor.numpy() for name, tensor in zip(outputs, tensors, strict=True)}

    return call
