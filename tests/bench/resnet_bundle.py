"""An untrained bundle with the source project's kind of network, ResNet-50 at 512 pixels, to measure its speed."""

from pathlib import Path

import keras
import numpy as np

from services.common.labels import LABELS
from services.common.operating_points import Thresholds
from training.bundle.build_card import build_card
from training.bundle.export import save_networks, seal
from training.configs.config import CardText
from training.data.series import Series
from training.networks.classifier import ClassifierShape, build_classifier
from training.networks.rnn import RnnShape
from training.options.rnn import RnnOptions
from training.train.rnn import new_members

_TEXT = CardText(
    name="resnet50-untrained",
    description="ResNet-50 with random weights, to measure the speed of a network of its size.",
    licence="Apache-2.0",
    data_terms="none",
    limits_of_use=("For benchmarks only.",),
    command="make bench",
)


def write_resnet_bundle(folder: Path, backbone: str = "resnet50", *, side: int = 512) -> Path:
    """Write a bundle with random weights."""
    keras.utils.set_random_seed(0)
    cnn = build_classifier(ClassifierShape(backbone, side=side))
    size = int(cnn.last.kernel.shape[0])
    features = np.random.default_rng(0).normal(size=(64, size)).astype(np.float32)
    known = np.ones((64, len(LABELS)), np.bool_)
    series = Series(features, np.arange(64, dtype=np.float32) * 5, ~known, known)
    (rnn,) = new_members(RnnShape(), RnnOptions(steps=0), cnn.last, [series])
    folder.mkdir(parents=True, exist_ok=True)
    files = save_networks(folder, cnn, rnn)
    even = Thresholds(slice=dict.fromkeys(LABELS, 0.5), series=dict.fromkeys(LABELS, 0.5))
    card = build_card(
        _TEXT,
        feature_size=size,
        blood_grid=None,
        files=files,
        metrics={},
        temperatures={},
        thresholds={"default": even},
        training={},
    )
    seal(folder, card, cnn, rnn)
    return folder
