"""Training that goes on from a bundle: its CNN's weights, and those of the last layer that its RNN holds a copy of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from services.common.card import Bundle, open_bundle
from training.cnn import Cnn


class OtherShape(Exception):
    """A bundle's network is not of the shape that is to be trained."""


def begin_from(folder: Path, cnn: Cnn) -> Bundle:
    """Give a network the weights of a bundle's CNN; the bundle.

    Raises
    ------
    BundleError
        the folder is no bundle, or its files are not those of its card
    OtherShape
        the bundle's network has other layers, or layers of other sizes
    """
    bundle = open_bundle(folder)
    _assign(cnn.serving.variables, _weights(bundle.saved_model("cnn")), bundle)
    copies = {weight.name.removesuffix(":0"): weight for weight in _weights(bundle.saved_model("rnn"))}
    _assign(cnn.last.variables, [copies[variable.path] for variable in cnn.last.variables], bundle)
    return bundle


def _weights(saved_model: Path) -> list[Any]:
    """In the order in which `training.export` wrote them: that of the network's own variables."""
    return list(tf.saved_model.load(str(saved_model)).weights)


def _assign(variables: Sequence[Any], weights: Sequence[Any], bundle: Bundle) -> None:
    if [tuple(weight.shape) for weight in weights] != [tuple(variable.shape) for variable in variables]:
        raise OtherShape(f"the networks of {bundle.card.name!r} are not of the shape that is to be trained")
    for variable, weight in zip(variables, weights, strict=True):
        variable.assign(weight)
