"""Features of a tiny run in parts: the same file as from one machine, and parts of another CNN are refused."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.training.archives import files, write_zip
from tests.training.runs.test_rsna import TINY
from training.io.checkpoints import save
from training.io.errors import TrainingError
from training.io.parts import Part
from training.networks.classifier import build_classifier
from training.rsna.archive import open_archive
from training.rsna.folds import write_folds
from training.rsna.index import build_index
from training.rsna.pack_archive import pack_archive
from training.runs.context import RunOptions
from training.runs.features_in_parts import features_part, join_features
from training.runs.rsna import RunSteps
from training.runs.run import Run
from training.train.callbacks import all_weights


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    archive = open_archive(write_zip(folder / "archive.zip", files(6, 1)))
    index, folds = folder / "index.parquet", folder / "folds.parquet"
    build_index(archive, index, processes=1)
    write_folds(index, folds, folds=3, seed=0)
    pack_archive(archive, index, folds, folder / "shards", processes=1)
    return folder / "shards"


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = list(logging.getLogger().handlers)
    yield
    for handler in [each for each in logging.getLogger().handlers if each not in before]:
        logging.getLogger().removeHandler(handler)
        handler.close()


def steps(folder: Path, shards: Path, seed: int = 0) -> RunSteps:
    """A run whose CNN has fresh weights of this seed."""
    run = Run(folder)
    run.open(TINY)
    if run.start("cnn", {"seed": str(seed)}):
        cnn = build_classifier(TINY.cnn_shape)  # type: ignore[arg-type] # for shards
        cnn.last.bias.assign(np.full(6, seed, np.float32))
        save(run.path("cnn-best.npz"), all_weights(cnn))
        run.finish("cnn", hours=0.0)
    return RunSteps(TINY, shards, run, RunOptions())


def test_features_in_parts_are_those_of_one_machine(shards: Path, tmp_path: Path) -> None:
    run = steps(tmp_path, shards)
    run.features()
    whole = run.run.path("features.npy").read_bytes()
    for count in (3, 9):  # nine parts of seven series
        run.run.path("features.npy").unlink()
        for number in range(count, 0, -1):
            features_part(run, Part(number, count))
        assert not run.run.path("features.npy").exists()
        join_features(run, count)
        assert run.run.path("features.npy").read_bytes() == whole
        assert not run.run.path("features.parts").exists()
        assert run.load_features()
        features_part(run, Part(1, count))
        join_features(run, count)  # killed after its end, and repeated
    assert len(np.load(run.run.path("features.npy"))) == 7 * 3


def test_parts_that_are_missing_of_another_number_or_of_another_cnn_are_refused(shards: Path, tmp_path: Path) -> None:
    features_part(steps(tmp_path, shards), Part(1, 2))
    with pytest.raises(TrainingError, match="Part 2/2 of features is missing"):
        join_features(steps(tmp_path, shards), 2)
    with pytest.raises(TrainingError, match="has part 1/2 of features, and 3 parts are wanted"):
        features_part(steps(tmp_path, shards), Part(1, 3))
    trained_again = steps(tmp_path, shards, seed=1)
    features_part(trained_again, Part(2, 2))
    with pytest.raises(TrainingError, match="Part 1/2 of features is of another cnn"):
        join_features(trained_again, 2)
    features_part(trained_again, Part(1, 2))
    join_features(trained_again, 2)
    assert trained_again.load_features()


def test_features_need_a_trained_cnn(shards: Path, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.open(TINY)
    with pytest.raises(TrainingError, match="no finished step 'cnn'"):
        features_part(RunSteps(TINY, shards, run, RunOptions()), Part(1, 2))
