"""Training that goes on from a bundle: its CNN's weights, and those of the last layer that its RNN holds a copy of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from services.common.card import Bundle, BundleError, open_bundle
from training.io.checkpoints import save
from training.io.errors import TrainingError, translate_write_errors
from training.networks.cnn import Cnn, CnnShape, build_cnn, weights


def begin_from(folder: Path, cnn: Cnn) -> Bundle:
    """Give a network the weights of a bundle's CNN, and of its last layer where the bundle has it; the bundle.

    Raises
    ------
    TrainingError
        the folder is no bundle, or its network has other layers, or layers of other sizes
    """
    try:
        bundle = open_bundle(folder)
    except BundleError as error:
        raise TrainingError(f"{error}.") from None
    _assign(cnn.serving.variables, _weights(bundle.saved_model("cnn")), bundle)
    copies = {weight.name.removesuffix(":0"): weight for weight in _weights(bundle.saved_model("rnn"))}
    if all(variable.path in copies for variable in cnn.last.variables):
        _assign(cnn.last.variables, [copies[variable.path] for variable in cnn.last.variables], bundle)
    return bundle


def keep_weights(folder: Path, shape: CnnShape, out: Path) -> None:
    """Write the weights of a bundle's CNN alone, for `fit_cnn.begin_from_weights` where there is no TensorFlow.

    Raises
    ------
    TrainingError
        as of `begin_from`, or the file can't be written
    """
    cnn = build_cnn(shape)
    begin_from(folder, cnn)
    with translate_write_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    save(out, weights(cnn))


def _weights(saved_model: Path) -> list[Any]:
    """In the order in which `training.bundle.export` wrote them: that of the network's own variables."""
    return list(tf.saved_model.load(str(saved_model)).weights)


def _assign(variables: Sequence[Any], weights: Sequence[Any], bundle: Bundle) -> None:
    # What dropout draws from is a variable, too, and a number; a network without dropout has none.
    learnt = [variable for variable in variables if "float" in variable.dtype]
    given = [weight for weight in weights if weight.dtype.is_floating]
    if [tuple(weight.shape) for weight in given] != [tuple(variable.shape) for variable in learnt]:
        raise TrainingError(f"The networks of {bundle.card.name!r} are not of the shape that is to be trained.")
    for variable, weight in zip(learnt, given, strict=True):
        variable.assign(weight)
