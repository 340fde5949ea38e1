"""Writes a bundle: two SavedModels and the card, then opens it and compares its predictions with the networks'."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from services.common.bundle_files import CARD_NAME, SIGNATURE_NAME, hash_files
from services.common.card import Card, open_bundle
from training.bundle.reference import share_apart, write_reference
from training.networks.cnn import Cnn
from training.networks.rnn import Rnn
from training.networks.signature import rnn_signature

TOLERANCE = 1e-5
OUTPUTS = ("features", "blood")  # of the CNN
LENGTHS = (1, 2, 37)  # slices of the replayed series


class ExportMismatch(Exception):
    """A written network has other outputs than the trained one; the message names the output."""


def save_networks(folder: Path, cnn: Cnn, rnn: Rnn) -> dict[str, str]:
    """Write `cnn/1` and `rnn/1`, replacing an older bundle; return the SHA-256 of every file for the card."""
    for name in (CARD_NAME, SIGNATURE_NAME):
        (folder / name).unlink(missing_ok=True)
    for part in ("cnn", "rnn"):
        shutil.rmtree(folder / part, ignore_errors=True)
    _write(folder / "cnn" / "1", [cnn.serving], _cnn_function(cnn), _cnn_signature())
    size = cnn.last.kernel.shape[0]
    _write(folder / "rnn" / "1", [rnn.logits, rnn.temperatures], _rnn_function(rnn), rnn_signature(size))
    write_reference(folder, _cnn_function(cnn), _rnn_function(rnn))
    return hash_files(folder)


def seal(folder: Path, card: Card, cnn: Cnn, rnn: Rnn) -> None:
    """Write the card, without which a folder is no bundle, and remove it if the replay fails.

    Raises
    ------
    ExportMismatch
        see `check`
    """
    path = folder / CARD_NAME
    path.write_text(card.model_dump_json(indent=2) + "\n")
    try:
        check(folder, cnn, rnn)
    except BaseException:
        path.unlink()
        raise


def check(folder: Path, cnn: Cnn, rnn: Rnn) -> None:
    """Open the bundle as a service does and compare the outputs of both networks.

    Raises
    ------
    ExportMismatch
        an output differs from the trained network's by more than 1e-5 of its largest value, where that is above 1
    """
    bundle, rng = open_bundle(folder), np.random.default_rng(1)
    served_cnn = tf.saved_model.load(str(bundle.saved_model("cnn"))).signatures["serving_default"]
    served_rnn = tf.saved_model.load(str(bundle.saved_model("rnn"))).signatures["serving_default"]
    slices = tf.constant(rng.integers(0, 256, (3, 512, 512, 3), dtype=np.uint8))
    given = _cnn_function(cnn)(slices)
    _compare("cnn", given, served_cnn(slices=slices))
    features = given["features"]
    for length in LENGTHS:
        series = tf.repeat(features, length, axis=0)[:length] + rng.normal(0, 0.1, (length, 1)).astype(np.float32)
        position_mm = tf.constant(np.cumsum(rng.uniform(1, 6, length)).astype(np.float32))
        _compare("rnn", rnn.serving(series, position_mm), served_rnn(features=series, position_mm=position_mm))


def _compare(name: str, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    for key, value in wanted.items():
        share = share_apart(value, found[key])
        if not share <= TOLERANCE:  # refuses NaN too
            raise ExportMismatch(f"{name}: {key} differs by {share:g} of its largest value")


def _write(folder: Path, parts: list[Any], function: Any, signature: list[Any]) -> None:
    module = tf.Module()
    # Keras' own export tracks every weight twice, which doubles the files.
    module.weights = [variable.value for part in parts for variable in part.variables]
    call = tf.function(function, input_signature=signature, jit_compile=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": call.get_concrete_function()})


def _cnn_signature() -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None, 512, 512, 3], tf.uint8, name="slices")]


def _cnn_function(cnn: Cnn) -> Any:
    def function(slices: Any) -> dict[str, Any]:
        given = cnn.serving(slices, training=False)
        # A CNN without a map of blood gives features alone.
        return dict(zip(OUTPUTS, given if isinstance(given, (list, tuple)) else [given], strict=False))

    return function


def _rnn_function(rnn: Rnn) -> Any:
    def function(features: Any, position_mm: Any) -> dict[str, Any]:
        return rnn.serving(features, position_mm)

    return function
