"""Trains on JAX as process k of n on fake shards; with BatchNormalization, augmentation and a shuffled order.

KERAS_BACKEND=jax python -m tests.training.train.several_processes FOLDER STEPS [k/n HOST:PORT]
"""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.training.fakes import OPTIONS, FakeShards
from training.data.batches import BatchSampler
from training.io.errors import TrainingError
from training.io.parts import read_part
from training.networks.classifier import ClassifierShape
from training.options.augment import SliceAugment
from training.train.callbacks import TrainingFolder
from training.train.processes import ALONE, Processes, together
from training.train.shard_cnn import fit_shard_cnn

RATE: Final = 1e-5  # a higher one amplifies the rounding of sums in another order
SHAPE: Final = ClassifierShape("brain-small", dropout=0.2)  # with BatchNormalization


def main(folder: Path, steps: int, processes: Processes) -> None:
    options, shards = (
        replace(OPTIONS, steps=steps, batch=4, rate=RATE, augment=SliceAugment(), validations_an_epoch=1, patience=99),
        FakeShards(12),
    )
    sampler = BatchSampler(shards, shards.entries[3:], options.batch, seed=1)
    files = TrainingFolder(folder, save_s=0, log_steps=1)
    state, _ = fit_shard_cnn(SHAPE, options, sampler, shards.entries[:3], files, processes)
    print(state.step, repr(state.best), flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    path, count, *group = sys.argv[1:]
    try:
        if group:
            with together(group[1], read_part(group[0])) as met:
                main(Path(path), int(count), met)
        else:
            main(Path(path), int(count), ALONE)
    except TrainingError as error:
        sys.exit(str(error))
