import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.fakes import OPTIONS, SHAPE, FakeShards
from training.data.batches import BatchSampler
from training.io.checkpoints import restore
from training.networks.classifier import build_classifier, predict_logits
from training.networks.cnn import Cnn
from training.options.cnn import CnnOptions
from training.train.batches import ShardBatches
from training.train.callbacks import TrainingFolder, TrainingState, Validation, all_weights
from training.train.cnn import CnnTrainer
from training.train.shard_cnn import LOG_LOSS, fit_shard_cnn, log_loss_validation, set_base_rates

STEPS = 4


class Killed(Exception):
    pass


def fit(folder: Path, options: CnnOptions = OPTIONS, series: FakeShards | None = None) -> TrainingState:
    shards = series or FakeShards()
    sampler = BatchSampler(shards, shards.entries[2:], options.batch)
    return fit_shard_cnn(SHAPE, options, sampler, shards.entries[:2], TrainingFolder(folder))[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingState, Path]:
    folder = tmp_path_factory.mktemp("trained")
    return fit(folder), folder


def test_a_training_writes_weights_figures_and_the_file_of_tensorboard(trained: tuple[TrainingState, Path]) -> None:
    state, folder = trained
    assert state.step == STEPS
    assert np.isfinite(state.best)
    lines = [json.loads(line) for line in (folder / "cnn.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if LOG_LOSS in line] == [2, 4]
    assert list((folder / "tensorboard").glob("events*"))


def test_the_best_weights_have_the_best_validation(trained: tuple[TrainingState, Path]) -> None:
    state, folder = trained
    cnn, shards = build_classifier(SHAPE), FakeShards()
    numbers = restore(folder / "cnn-best.npz", all_weights(cnn))
    measured = log_loss_validation(shards, shards.entries[:2], 1, 1).measure(cnn)[LOG_LOSS]
    assert numbers["loss"] == pytest.approx(state.best)
    assert measured == pytest.approx(state.best, rel=1e-4)


def test_an_interrupted_training_resumes_with_optimizer_average_and_batches(
    trained: tuple[TrainingState, Path], tmp_path: Path
) -> None:
    class KillingShards(FakeShards):
        reads = 0

        def slices(self, entry: object, indices: object = None) -> np.ndarray:
            KillingShards.reads += indices is None
            if KillingShards.reads > 3:  # in the second validation
                raise Killed
            return super().slices(entry, indices)  # type: ignore[arg-type]

    with pytest.raises(Killed):
        fit_shard_cnn(
            SHAPE,
            OPTIONS,
            BatchSampler(KillingShards(), KillingShards().entries[2:], OPTIONS.batch),
            KillingShards().entries[:2],
            TrainingFolder(tmp_path, save_s=0),
        )
    with np.load(tmp_path / "cnn.npz") as held:
        assert int(held["step"]) == 3
    state = fit(tmp_path)
    assert state.step == STEPS
    with np.load(trained[1] / "cnn.npz") as straight, np.load(tmp_path / "cnn.npz") as resumed:
        for name in straight.files:
            if name.isdigit():
                np.testing.assert_allclose(straight[name], resumed[name], rtol=1e-3, atol=1e-4)


def test_a_training_without_improvement_ends_early(tmp_path: Path) -> None:
    state = fit(tmp_path, replace(OPTIONS, epochs=3, patience=1, rate=0.0))
    assert state.step == 4  # validations at 2 and 4; the second is no better
    with np.load(tmp_path / "cnn.npz") as held:
        assert int(held["since"]) == 1


def test_a_training_that_ended_early_is_not_continued(tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=3, patience=1, rate=0.0)
    fit(tmp_path, options)
    written = (tmp_path / "cnn.npz").stat().st_mtime_ns
    assert fit(tmp_path, options).step == STEPS
    assert (tmp_path / "cnn.npz").stat().st_mtime_ns == written


def test_the_time_of_a_validation_is_counted_once(tmp_path: Path) -> None:
    def wait(_: Cnn) -> dict[str, float]:
        time.sleep(1)
        return {}

    shards, begin = FakeShards(), time.monotonic()
    trainer = CnnTrainer(build_classifier(SHAPE), OPTIONS, STEPS, TrainingFolder(tmp_path))
    sampler = BatchSampler(shards, shards.entries, OPTIONS.batch)
    trainer.fit(lambda first: ShardBatches(sampler, first, STEPS, 1), Validation(wait, every=1))
    assert STEPS <= trainer.state.spent_s <= time.monotonic() - begin


def test_untrained_networks_predict_the_base_rates() -> None:
    cnn, rates = build_classifier(SHAPE), np.linspace(0.1, 0.6, 6)
    set_base_rates(cnn, rates)
    cnn.last.kernel.assign(np.zeros_like(cnn.last.kernel))
    logits = predict_logits(cnn, np.zeros((2, 512, 512, 3), np.uint8))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), np.tile(rates, (2, 1)), rtol=1e-5)


@pytest.mark.train
def test_two_devices_train_as_one() -> None:
    program = [sys.executable, "-m", "tests.training.train.two_devices"]  # devices are split before TensorFlow begins
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["devices"] == 2
    assert said["trained"]
    assert said["equal"]
    assert math.isfinite(said["loss"])
    assert said["loss"] == pytest.approx(said["loss_on_one"], rel=1e-3)


def test_features_and_logits_are_float32_where_layers_compute_in_bfloat16() -> None:
    cnn = build_classifier(SHAPE, "mixed_bfloat16")
    features = cnn.serving(tf.zeros((1, 512, 512, 3), tf.uint8))
    assert features.dtype == tf.float32
    assert cnn.last(features).dtype == tf.float32
    assert keras.config.dtype_policy().name == "float32"


def test_a_trainer_restores_nothing_from_an_empty_folder(tmp_path: Path) -> None:
    trainer = CnnTrainer(build_classifier(SHAPE), OPTIONS, STEPS, TrainingFolder(tmp_path))
    assert not trainer.resume()
    assert trainer.state == TrainingState()
