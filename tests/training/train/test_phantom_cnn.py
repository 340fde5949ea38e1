import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.small_networks import SMALL_SHAPE
from training.networks.cnn import Cnn, build_cnn, weights
from training.networks.extractor import extractor
from training.options.cnn import CnnFit
from training.options.stream import StreamPlan
from training.train.phantom_cnn import Progress, _Training, fit_cnn

PLAN = StreamPlan(
    studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=3, rounds_at_first=3, first_seed=9_700_000
)
FIT = CnnFit(steps=6, batch=4, stream=PLAN)
Straight = tuple[Cnn, Path]


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Straight:
    folder = tmp_path_factory.mktemp("straight")
    return fit_cnn(SMALL_SHAPE, FIT, Progress(folder, watch=lambda _: {"any": 0.5}, watch_steps=4)), folder


def test_a_training_leaves_figures(straight: Straight) -> None:
    lines = [json.loads(line) for line in (straight[1] / "cnn.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "any" in line] == [4, 6]
    assert np.isfinite([line["loss"] for line in lines if "loss" in line]).all()


def test_features_of_any_number_of_slices(straight: Straight) -> None:
    small = np.random.default_rng(0).integers(0, 256, (5, 256, 256, 2), dtype=np.uint8)
    found = extractor(straight[0], batch=2)(small)
    assert found.shape == (5, 8)
    np.testing.assert_allclose(found, extractor(straight[0])(small), rtol=1e-4, atol=1e-5)


def test_a_training_goes_on_where_it_was_killed_and_learns_nothing_from_being_compiled(
    straight: Straight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Training, "warm_up", lambda _: None)

    def kill(_: Cnn) -> dict[str, float]:
        raise Killed

    with pytest.raises(Killed):
        fit_cnn(SMALL_SHAPE, FIT, Progress(tmp_path, watch=kill, watch_steps=4, save_s=0))
    gone_on = fit_cnn(SMALL_SHAPE, FIT, Progress(tmp_path))
    for one, two in zip(straight[0].trunk.variables, gone_on.trunk.variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_a_training_that_has_ended_is_taken_as_it_ended(straight: Straight, tmp_path: Path) -> None:
    shutil.copy(straight[1] / "cnn-ended.npz", tmp_path / "cnn-ended.npz")
    progress = Progress(tmp_path)
    taken = fit_cnn(SMALL_SHAPE, FIT, progress)
    for one, two in zip(weights(straight[0]), weights(taken), strict=True):
        np.testing.assert_array_equal(one, two)
    assert progress.minutes() > 0


def test_a_training_keeps_a_share_of_what_it_began_with(straight: Straight, tmp_path: Path) -> None:
    shutil.copy(straight[1] / "cnn.npz", tmp_path / "cnn.npz")
    keras.utils.set_random_seed(FIT.seed)
    began = build_cnn(SMALL_SHAPE)
    kept = fit_cnn(SMALL_SHAPE, replace(FIT, kept=0.25), Progress(tmp_path))
    for first, ended, mixed in zip(
        began.trunk.trainable_variables,
        straight[0].trunk.trainable_variables,
        kept.trunk.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(mixed, 0.75 * ended.numpy() + 0.25 * first.numpy(), rtol=1e-4, atol=1e-6)
