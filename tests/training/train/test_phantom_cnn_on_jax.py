import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.small_networks import SMALL_SHAPE
from tests.training.train.train_on_jax import FIT, PICTURES
from training.io.errors import TrainingError
from training.networks.extractor import extractor
from training.train.phantom_cnn import Progress, fit_cnn


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jax")
    command = [sys.executable, "-m", "tests.training.train.train_on_jax", str(folder)]
    subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "jax"}, check=True)
    return folder


def test_a_cnn_that_learnt_on_jax_answers_alike_on_tensorflow(learnt: Path) -> None:
    taken = extractor(fit_cnn(SMALL_SHAPE, FIT, Progress(learnt)))(PICTURES)
    wanted = np.load(learnt / "features.npy")
    assert wanted.std() > 0
    np.testing.assert_allclose(taken, wanted, rtol=1e-3, atol=1e-4 * wanted.max())


def test_one_that_ended_by_another_configuration_is_refused(learnt: Path) -> None:
    with pytest.raises(TrainingError, match="another --run"):
        fit_cnn(SMALL_SHAPE, replace(FIT, grain=0.5), Progress(learnt))
