import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from services.common.labels import LABELS
from tests.training.small_networks import SMALL_SHAPE, small_cnn
from training.configs.default import CONFIG
from training.io.errors import TrainingError
from training.networks.cnn import Cnn, build_cnn, weights
from training.networks.extractor import extractor
from training.options.augment import PhantomAugment
from training.options.cnn import CnnOptions
from training.options.stream import StreamOptions
from training.train.callbacks import TrainingFolder, Validation
from training.train.phantom_cnn import auc_validation, fit_phantom_cnn

STREAM = StreamOptions(
    studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=3, rounds_at_first=3, first_seed=9_700_000
)
OPTIONS = replace(CONFIG.cnn, steps=6, batch=4, rate=2e-3, xla=False, stream=STREAM)
Trained = tuple[Cnn, TrainingFolder]


class Killed(Exception):
    pass


def fit(folder: Path, options: CnnOptions = OPTIONS, validation: Validation | None = None) -> Trained:
    return fit_phantom_cnn(SMALL_SHAPE, options, folder, validation=validation)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    validation = Validation(lambda _: {"any": 0.5}, every=4)
    return fit(tmp_path_factory.mktemp("trained"), validation=validation)


def lines(folder: TrainingFolder) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder.path / "cnn.jsonl").read_text().splitlines()]


def test_a_training_writes_its_figures(trained: Trained) -> None:
    assert [line["step"] for line in lines(trained[1]) if "any" in line] == [4, 6]
    assert np.isfinite([line["loss"] for line in lines(trained[1]) if "loss" in line]).all()
    assert {line["phantom_slices"] for line in lines(trained[1])} == {60, 72}


def test_features_do_not_depend_on_the_batch(trained: Trained) -> None:
    small = np.random.default_rng(0).integers(0, 256, (5, 256, 256, 2), dtype=np.uint8)
    found = extractor(trained[0], batch=2)(small)
    assert found.shape == (5, 8)
    np.testing.assert_allclose(found, extractor(trained[0])(small), rtol=1e-4, atol=1e-5)


def test_an_interrupted_training_resumes_with_the_same_batches(trained: Trained, tmp_path: Path) -> None:
    def kill(_: Cnn) -> dict[str, float]:
        if (tmp_path / "cnn.npz").exists():
            raise Killed
        return {}

    with pytest.raises(Killed):
        fit_phantom_cnn(
            SMALL_SHAPE, replace(OPTIONS, steps=6), tmp_path, validation=Validation(kill, every=4), save_s=0
        )
    resumed, _ = fit(tmp_path)
    for one, two in zip(weights(trained[0]), weights(resumed), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_a_finished_training_is_used_again(trained: Trained, tmp_path: Path) -> None:
    shutil.copy(trained[1].final, tmp_path / "cnn-ended.npz")
    again, folder = fit(tmp_path)
    for one, two in zip(weights(trained[0]), weights(again), strict=True):
        np.testing.assert_array_equal(one, two)
    assert folder.minutes() > 0


def test_a_finished_training_of_another_configuration_is_refused(trained: Trained, tmp_path: Path) -> None:
    shutil.copy(trained[1].final, tmp_path / "cnn-ended.npz")
    with pytest.raises(TrainingError, match="another --run"):
        fit(tmp_path, replace(OPTIONS, augment=PhantomAugment(grain=0.5)))


def test_the_initial_weights_have_their_share_in_the_final_ones(trained: Trained, tmp_path: Path) -> None:
    shutil.copy(trained[1].checkpoint, tmp_path / "cnn.npz")
    keras.utils.set_random_seed(OPTIONS.seed)
    initial = build_cnn(SMALL_SHAPE)
    mixed, _ = fit(tmp_path, replace(OPTIONS, initial_weight=0.25))
    for first, last, between in zip(
        initial.trunk.trainable_variables,
        trained[0].trunk.trainable_variables,
        mixed.trunk.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(between, 0.75 * last.numpy() + 0.25 * first.numpy(), rtol=1e-4, atol=1e-6)


def test_options_without_phantoms_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no stream"):
        fit(tmp_path, replace(OPTIONS, stream=None))


def test_validation_is_the_auc_of_every_label() -> None:
    figures = auc_validation(12).measure(small_cnn())
    assert list(figures) == list(LABELS)
    assert 0 < figures["any"] < 1


def test_the_trainer_of_phantoms_loads_no_tensorflow() -> None:
    program = "import sys, training.train.phantom_cnn, training.configs.default; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "KERAS_BACKEND": "jax"}, check=True)
