"""Two steps of learning on two logical CPU devices; prints losses and whether both copies hold the same weights."""

import json
from dataclasses import replace

import numpy as np
import tensorflow as tf

from tests.training.fakes import PLAN, FakeShards
from training.data.batches import Deck
from training.train.learner import Learner


def main() -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    shards = FakeShards()
    learner = Learner(replace(PLAN, batch=6), shards.recipe, 4, strategy)
    deck = Deck(shards, shards.entries, 6)
    before = np.asarray(learner.cnn.last.kernel)
    losses = [learner.step(deck.read(step), step) for step in range(2)]
    one, two = (np.asarray(each) for each in strategy.experimental_local_results(learner.cnn.last.kernel.value))
    print(
        json.dumps(
            {
                "devices": learner.devices,
                "losses": losses,
                "learnt": bool(np.abs(one - before).max() > 0),
                "alike": bool(np.array_equal(one, two)),
            }
        )
    )


if __name__ == "__main__":
    main()
