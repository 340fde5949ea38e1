"""Writes a bundle: two SavedModels and the card, then opens it and compares its predictions with the networks'.

The CNN is written as `inference_model` makes it. Its variables are those of the trained network, so that a bundle also
gives initial weights to another training.
"""

import logging
import math
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from services.common.bundle_files import CARD_NAME, SIGNATURE_NAME, hash_files
from services.common.card import Card, open_bundle
from services.common.saved_model import load_signature
from training.bundle.reference import share_apart, write_reference
from training.networks.cnn import Cnn
from training.networks.feature_engine import write_saved_model
from training.networks.inference_model import inference_model
from training.networks.rnn import Rnn
from training.networks.signature import rnn_signature

LOG = logging.getLogger(__name__)
TOLERANCE = 1e-5  # of an output's largest value, where that is above 1
CNN_TOLERANCE = 1e-4  # between the written CNN and the trained one: folding changes the rounding of every layer
UNSTABLE = 0.01  # share of the outputs that one level of one pixel changes in an untrained network
GRAPH_FILES = ("saved_model.pb", "fingerprint.pb")
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
    _write_cnn(folder, cnn)
    size = cnn.last.kernel.shape[0]
    write_saved_model(folder / "rnn" / "1", [rnn.logits, rnn.temperatures], _rnn_function(rnn), rnn_signature(size))
    write_reference(folder, *(load_signature(folder / part / "1") for part in ("cnn", "rnn")))
    return hash_files(folder)


def replace_graph(folder: Path, cnn: Cnn) -> None:
    """Write the graph of `cnn/1` anew; its variables, which are those of `cnn`, stay byte for byte."""
    with TemporaryDirectory() as temporary:
        _write_cnn(Path(temporary), cnn)
        for name in GRAPH_FILES:
            shutil.copyfile(Path(temporary) / "cnn" / "1" / name, folder / "cnn" / "1" / name)


def _write_cnn(folder: Path, cnn: Cnn) -> None:
    write_saved_model(
        folder / "cnn" / "1", [cnn.serving], _cnn_function(inference_model(cnn.serving)), _cnn_signature()
    )


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
        an output differs from the trained network's by more than 1e-4 (CNN, unless untrained) or 1e-5 (RNN) of its
        largest value, where that is above 1
    """
    bundle, rng = open_bundle(folder), np.random.default_rng(1)
    served_cnn = tf.saved_model.load(str(bundle.saved_model("cnn"))).signatures["serving_default"]
    served_rnn = tf.saved_model.load(str(bundle.saved_model("rnn"))).signatures["serving_default"]
    slices = rng.integers(0, 256, (3, 512, 512, 3), dtype=np.uint8)
    given = _cnn_function(cnn.serving)(slices)
    _compare("cnn", given, served_cnn(slices=slices), _cnn_tolerance(cnn, slices, given))
    features = given["features"]
    for length in LENGTHS:
        series = tf.repeat(features, length, axis=0)[:length] + rng.normal(0, 0.1, (length, 1)).astype(np.float32)
        position_mm = tf.constant(np.cumsum(rng.uniform(1, 6, length)).astype(np.float32))
        _compare(
            "rnn", rnn.serving(series, position_mm), served_rnn(features=series, position_mm=position_mm), TOLERANCE
        )


def _cnn_tolerance(cnn: Cnn, slices: NDArray[np.uint8], given: dict[str, Any]) -> float:
    """Return the tolerance of the CNN's outputs; infinity where rounding alone changes them.

    With untrained weights a deep network amplifies the last digit of every sum.
    """
    altered = slices.copy()
    altered[:, 256, 256] ^= 1
    other = _cnn_function(cnn.serving)(altered)
    change = max(share_apart(given[name], other[name]) for name in given)
    if change <= UNSTABLE:
        return CNN_TOLERANCE
    LOG.warning("one level of one pixel changes the CNN's outputs by %.0f %%: it is untrained", 100 * change)
    return math.inf


def _compare(name: str, wanted: dict[str, Any], found: dict[str, Any], tolerance: float) -> None:
    for key, value in wanted.items():
        share = share_apart(value, found[key])
        if not share <= tolerance:  # refuses NaN too
            raise ExportMismatch(f"{name}: {key} differs by {share:g} of its largest value")


def _cnn_signature() -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None, 512, 512, 3], tf.uint8, name="slices")]


def _cnn_function(model: keras.Model) -> Any:
    def function(slices: Any) -> dict[str, Any]:
        given = model(slices, training=False)
        # A CNN without a map of blood gives features alone.
        return dict(zip(OUTPUTS, given if isinstance(given, (list, tuple)) else [given], strict=False))

    return function


def _rnn_function(rnn: Rnn) -> Any:
    def function(features: Any, position_mm: Any) -> dict[str, Any]:
        return rnn.serving(features, position_mm)

    return function
