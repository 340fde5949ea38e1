import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.small_networks import SMALL_SHAPE
from tests.training.train.train_on_jax import OPTIONS, PICTURES
from training.io.errors import TrainingError
from training.networks.extractor import extractor
from training.train.phantom_cnn import fit_phantom_cnn

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jax")
    command = [sys.executable, "-m", "tests.training.train.train_on_jax", str(folder)]
    subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "jax"}, check=True)
    return folder


def test_a_cnn_trained_on_jax_has_the_same_features_on_tensorflow(trained: Path) -> None:
    taken = extractor(fit_phantom_cnn(SMALL_SHAPE, OPTIONS, trained)[0])(PICTURES)
    wanted = np.load(trained / "features.npy")
    assert wanted.std() > 0
    np.testing.assert_allclose(taken, wanted, rtol=1e-3, atol=1e-4 * wanted.max())


def test_a_training_of_another_configuration_is_refused(trained: Path) -> None:
    with pytest.raises(TrainingError, match="another --run"):
        fit_phantom_cnn(SMALL_SHAPE, replace(OPTIONS, steps=2), trained)
