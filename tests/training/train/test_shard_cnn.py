from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.fakes import PLAN, FakeShards
from training.data.batches import Deck
from training.networks.classifier import build_classifier
from training.train.learner import Learner
from training.train.shard_cnn import Folder, State, Training, Watched

STEPS = 4


def _training(folder: Path, steps: int = STEPS) -> tuple[Training, Learner]:
    shards = FakeShards()
    learner = Learner(PLAN, shards.recipe, STEPS)
    deck = Deck(shards, shards.entries[2:], PLAN.batch)
    return Training(learner, deck, Watched(shards, shards.entries[:2]), Folder(folder), steps), learner


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[State, list[np.ndarray], Path]:
    folder = tmp_path_factory.mktemp("straight")
    training, learner = _training(folder)
    return training.follow(), [np.asarray(each) for each in learner.variables()], folder


def test_a_training_leaves_weights_figures_and_tensorboards_file(
    straight: tuple[State, list[np.ndarray], Path],
) -> None:
    state, _, folder = straight
    assert state.step == STEPS
    assert np.isfinite(state.best)
    assert (folder / "cnn-best.npz").exists()
    assert "validation_log_loss" in (folder / "cnn.jsonl").read_text()
    assert list((folder / "tensorboard").glob("events*"))


def test_it_goes_on_with_optimizer_average_and_order(
    straight: tuple[State, list[np.ndarray], Path], tmp_path: Path
) -> None:
    training, _ = _training(tmp_path, steps=3)
    training.follow()
    training, learner = _training(tmp_path)
    assert training.state.step == 3
    training.follow()
    for one, two in zip(straight[1], learner.variables(), strict=True):
        np.testing.assert_allclose(one, np.asarray(two), rtol=1e-3, atol=1e-4)


def test_it_ends_where_it_gets_no_better(tmp_path: Path) -> None:
    training, _ = _training(tmp_path)
    training.state.since, training.state.best = PLAN.patience - 1, -1.0
    assert training.follow().step < STEPS


def test_features_and_logits_are_float32_where_layers_compute_in_bfloat16() -> None:
    cnn = build_classifier(PLAN, "mixed_bfloat16")
    features = cnn.serving(tf.zeros((1, 512, 512, 3), tf.uint8))
    assert features.dtype == tf.float32
    assert cnn.last(features).dtype == tf.float32
    assert keras.config.dtype_policy().name == "float32"
