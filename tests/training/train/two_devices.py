"""Trains for two steps on two logical CPU devices and on one; prints losses and whether both replicas are equal."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.training.fakes import OPTIONS, SHAPE, FakeShards
from training.data.batches import BatchSampler
from training.networks.classifier import build_classifier
from training.options.augment import SliceAugment
from training.train.batches import ShardBatches
from training.train.callbacks import TrainingFolder
from training.train.cnn import CnnTrainer

NONE = SliceAugment(flip=False, shift=0, scale=0, turn_degrees=0, window_hu=0, window_width=0)
STEPS = 2


def train(folder: Path, strategy: tf.distribute.Strategy) -> tuple[CnnTrainer, float]:
    options, shards = replace(OPTIONS, batch=6, augment=NONE), FakeShards()
    sampler = BatchSampler(shards, shards.entries, options.batch)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        trainer = CnnTrainer(build_classifier(SHAPE), options, STEPS, TrainingFolder(folder))
    trainer.fit(lambda first: ShardBatches(sampler, first, STEPS, 2))
    (line,) = (folder / "cnn.jsonl").read_text().splitlines()
    return trainer, json.loads(line)["loss"]


def main() -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        _, alone = train(Path(one), tf.distribute.get_strategy())
        keras.utils.set_random_seed(0)
        before = np.asarray(build_classifier(SHAPE).last.kernel)
        trainer, loss = train(Path(two), strategy)
    first, second = (np.asarray(each) for each in strategy.experimental_local_results(trainer.cnn.last.kernel.value))
    found = {
        "devices": strategy.num_replicas_in_sync,
        "loss": loss,
        "loss_on_one": alone,
        "trained": bool(np.abs(first - before).max() > 0),
        "equal": bool(np.array_equal(first, second)),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
