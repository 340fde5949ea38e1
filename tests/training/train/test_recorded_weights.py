"""Three steps give the weights of the earlier trainers, which had loops of their own; recorded on TensorFlow."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import pytest
from keras import layers

from tests.training.fakes import OPTIONS, SHAPE, FakeShards
from tests.training.small_networks import SMALL_SHAPE
from training.configs.default import CONFIG
from training.data.batches import BatchSampler
from training.data.series import Series
from training.io.checkpoints import restore
from training.networks.classifier import build_classifier
from training.networks.cnn import weights
from training.networks.rnn import RnnShape
from training.networks.source_rnn import SourceShape
from training.options.augment import PhantomAugment, SliceAugment
from training.options.rnn import RnnOptions
from training.options.stream import StreamOptions
from training.train.callbacks import TrainingFolder, all_weights
from training.train.phantom_cnn import fit_phantom_cnn
from training.train.rnn import fit_rnn
from training.train.shard_cnn import fit_shard_cnn

pytestmark = pytest.mark.train
STREAM: Final = StreamOptions(
    studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=3, rounds_at_first=3, first_seed=9_700_000
)
PHANTOMS: Final = replace(CONFIG.cnn, steps=3, batch=4, rate=2e-3, stream=STREAM)
STRONG: Final = PhantomAugment(grain=1.0, slow_hu=2.0, kernel=True, turn_deg=10.0)
RNN, SOURCE = RnnShape(width=8, state=6), SourceShape(lstm=(6, 5), gru=4)
PIECES: Final = RnnOptions(steps=3, batch=4, longest=6, members=2)
WINDOWS: Final = RnnOptions(steps=3, batch=4, rate=1e-3)
NONE: Final = SliceAugment(flip=False, shift=0, scale=0, turn_degrees=0, window_hu=0, window_width=0)


def fingerprint(values: Sequence[Any]) -> list[float]:
    """The norm of all weights together and three random projections of them."""
    flat = np.concatenate([np.asarray(value, np.float64).ravel() for value in values])
    probes = np.random.default_rng(0)
    return [float(np.linalg.norm(flat)), *(float(flat @ probes.standard_normal(len(flat))) for _ in range(3))]


@pytest.mark.parametrize(
    ("augment", "initial_weight", "recorded"),
    [
        (
            CONFIG.cnn.augment,
            0.0,
            [18.696692708750202, -18.44472674719026, -14.78079357984803, 16.11077247969807],
        ),
        (STRONG, 0.25, [18.74450936543662, -18.29389568497746, -14.847081897451499, 16.05349335492842]),
    ],
)
def test_phantoms(augment: PhantomAugment, initial_weight: float, recorded: list[float], tmp_path: Path) -> None:
    options = replace(PHANTOMS, augment=augment, initial_weight=initial_weight)
    cnn, _ = fit_phantom_cnn(SMALL_SHAPE, options, tmp_path)
    assert fingerprint(weights(cnn)) == pytest.approx(recorded, rel=1e-5)


def test_shards(tmp_path: Path) -> None:
    shards = FakeShards()
    sampler = BatchSampler(shards, shards.entries[2:], OPTIONS.batch)
    # The random numbers of slices' augmentation differ: they now come from Keras, on both backends.
    options = replace(OPTIONS, augment=NONE, steps=3)
    state, _ = fit_shard_cnn(SHAPE, options, sampler, shards.entries[:2], TrainingFolder(tmp_path))
    cnn = build_classifier(SHAPE)
    restore(tmp_path / "cnn-best.npz", all_weights(cnn))
    recorded = [62.63310614349946, 11.784996992018922, -102.59983056269012, 13.234722913786648]
    assert fingerprint(all_weights(cnn)) == pytest.approx(recorded, rel=1e-5)
    assert state.best == pytest.approx(0.32924440237008695, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "options", "checkpoints", "recorded"),
    [
        (RNN, PIECES, False, [15.400556438529659, 10.298476571765967, -12.261251620077452, 24.5108930686871]),
        (RNN, PIECES, True, [15.400545953743071, 10.297555504902638, -12.260592847103606, 24.510724350616986]),
        (SOURCE, WINDOWS, True, [11.379851034212008, -9.990629572074246, 10.22064831267871, 11.262606129041817]),
    ],
    ids=["default", "shards", "source"],
)
def test_rnn(
    shape: RnnShape | SourceShape,
    options: RnnOptions,
    checkpoints: bool,  # noqa: FBT001 - a case
    recorded: list[float],
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    studies = [
        Series(
            rng.normal(0, 1, (count, 7)).astype(np.float32),
            np.arange(count, dtype=np.float32) * 5,
            rng.random((count, 6)) < 0.3,
            np.ones((count, 6), bool),
        )
        for count in (5, 9, 12)
    ]
    keras.utils.set_random_seed(0)
    last = layers.Dense(6)
    last.build((None, 7))
    rnn = fit_rnn(shape, options, last, studies, tmp_path if checkpoints else None)
    assert fingerprint(rnn.logits.trainable_variables) == pytest.approx(recorded, rel=1e-5)
