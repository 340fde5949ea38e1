"""Trains a small CNN on JAX as a GPU's machine does; writes its weights and its features of some pictures.

KERAS_BACKEND=jax python -m tests.training.train.train_on_jax FOLDER
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from tests.training.small_networks import SMALL_SHAPE
from training.configs.default import CONFIG
from training.networks.extractor import extractor
from training.options.augment import PhantomAugment
from training.options.stream import StreamOptions
from training.train.phantom_cnn import fit_phantom_cnn

OPTIONS: Final = replace(
    CONFIG.cnn,
    steps=1,
    batch=4,
    augment=PhantomAugment(grain=1.0, turn_deg=10.0),
    stream=StreamOptions(
        studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=2, rounds_at_first=2, first_seed=9_710_000
    ),
)
PICTURES: Final = np.random.default_rng(0).integers(0, 256, (3, 256, 256, 2), dtype=np.uint8)


def main(folder: Path) -> None:
    cnn, _ = fit_phantom_cnn(SMALL_SHAPE, OPTIONS, folder)
    np.save(folder / "features.npy", extractor(cnn)(PICTURES))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
