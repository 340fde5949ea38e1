"""What a GPU's machine does: let a small CNN learn on JAX, and leave its weights and its features of some pictures.

KERAS_BACKEND=jax python -m tests.training.train.train_on_jax FOLDER
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np

from tests.training.small_networks import SMALL_SHAPE
from training.networks.extractor import extractor
from training.options.cnn import CnnFit
from training.options.stream import StreamPlan
from training.train.phantom_cnn import Progress, fit_cnn

FIT: Final = CnnFit(
    steps=1,
    batch=4,
    grain=1.0,
    turn_deg=10.0,
    stream=StreamPlan(
        studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=2, rounds_at_first=2, first_seed=9_710_000
    ),
)
PICTURES: Final = np.random.default_rng(0).integers(0, 256, (3, 256, 256, 2), dtype=np.uint8)


def main(folder: Path) -> None:
    cnn = fit_cnn(SMALL_SHAPE, FIT, Progress(folder))
    np.save(folder / "features.npy", extractor(cnn)(PICTURES))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
