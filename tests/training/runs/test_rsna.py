"""All steps of a run on a tiny archive: from its files to a verified bundle."""

import csv
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from services.common.card import open_bundle
from services.common.labels import LABELS
from tests.training.archives import SLICES, files, write_zip
from training.bundle.verify import verify
from training.configs.config import Config
from training.configs.smoke import CONFIG
from training.networks.classifier import ClassifierShape
from training.networks.rnn import RnnShape
from training.options.cnn import CnnOptions
from training.options.rnn import RnnOptions
from training.rsna.archive import open_archive
from training.rsna.folds import write_folds
from training.rsna.index import build_index
from training.rsna.pack_archive import pack_archive
from training.runs.context import RunOptions
from training.runs.rsna import RunSteps
from training.runs.run import Run

PATIENTS, TESTED = 12, 2
TINY = Config(
    card=CONFIG.card,
    cnn_shape=ClassifierShape("brain-small"),
    cnn=CnnOptions(batch=4, readers=2, validations_an_epoch=1),
    rnn_shape=RnnShape(width=4, state=3),
    rnn=RnnOptions(steps=2, batch=2, longest=3, members=2),
)


@dataclass(frozen=True)
class Data:
    """A tiny archive and its shards."""

    archive: Path
    shards: Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    path = write_zip(folder / "archive.zip", files(PATIENTS, TESTED))
    index, folds, shards = folder / "index.parquet", folder / "folds.parquet", folder / "shards"
    build_index(open_archive(path), index, processes=1)
    write_folds(index, folds, folds=3, seed=0)
    pack_archive(open_archive(path), index, folds, shards, processes=1)
    return Data(path, shards)


@pytest.fixture(scope="module")
def finished(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunSteps]:
    run = Run(tmp_path_factory.mktemp("run"))
    before = list(logging.getLogger().handlers)
    run.open(TINY)
    steps = RunSteps(TINY, data.shards, run, RunOptions(steps=2))
    _all(steps, data)
    yield steps
    for handler in [each for each in logging.getLogger().handlers if each not in before]:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _all(steps: RunSteps, data: Data) -> None:
    for step in (steps.cnn, steps.features, steps.rnn, steps.calibrate, steps.evaluate):
        step()
    steps.submit(data.archive)
    steps.export(None)


def test_the_bundle_is_verified(finished: RunSteps) -> None:
    bundle = finished.run.path("bundle")
    verify(bundle)
    card = open_bundle(bundle).card
    assert card.name == "smoke"
    assert card.training["series"] == {name: len(getattr(finished.parts, name)) for name in card.training["series"]}
    assert set(card.thresholds) == {"default", "sensitive", "specific"}
    assert card.temperatures == finished.load_calibration()["temperatures"]


def test_no_series_is_in_two_parts(finished: RunSteps) -> None:
    parts = finished.parts
    numbers = [*parts.train, *parts.validation, *parts.held_out, *parts.test]
    assert len(set(numbers)) == len(numbers) == PATIENTS + TESTED
    for name in ("train", "validation", "held_out", "test"):
        indices = getattr(finished.indices, name)
        assert [finished.entries[index] for index in indices] == finished.entries_of(getattr(parts, name))


def test_the_submission_has_six_rows_for_every_test_slice(finished: RunSteps) -> None:
    with finished.run.path("submission.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == TESTED * SLICES * len(LABELS)
    assert all(0 <= float(row["Label"]) <= 1 for row in rows)


def test_the_page_and_its_metrics_are_of_the_held_out_fold(finished: RunSteps) -> None:
    metrics = json.loads(finished.run.path("metrics.json").read_text())
    assert metrics["slices"] == SLICES * len(finished.parts.held_out)
    assert finished.run.path("card.md").read_text().startswith("# The bundle `smoke`")


def test_features_are_float16_vectors_of_every_slice(finished: RunSteps) -> None:
    features = np.load(finished.run.path("features.npy"))
    assert features.dtype == np.float16
    assert len(features) == SLICES * (PATIENTS + TESTED)


def test_finished_steps_are_skipped(finished: RunSteps, data: Data, caplog: pytest.LogCaptureFixture) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.run.folder.glob("*.*")}
    again = RunSteps(TINY, data.shards, finished.run, RunOptions(steps=2))
    with caplog.at_level(logging.INFO):
        _all(again, data)
    assert caplog.text.count("skipped, finished with the same inputs") == 7
    log = finished.run.path("log.txt")
    assert {path: path.stat().st_mtime_ns for path in before if path != log} == {
        path: at for path, at in before.items() if path != log
    }
