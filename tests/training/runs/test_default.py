"""The default build on a few phantoms with tiny networks."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.common.card import Card, open_bundle
from tests.training.small_networks import SMALL_RNN, SMALL_SHAPE
from training.bundle.verify import verify
from training.configs import smoke
from training.configs.config import Config, PhantomData
from training.configs.default import CONFIG
from training.evaluate.test_set import SHIFTED, TEST
from training.options.rnn import RnnOptions
from training.options.stream import StreamOptions
from training.runs.default import MeasuredStudies, build_default

STREAM = StreamOptions(
    studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=2, rounds_at_first=2, first_seed=9_720_000
)
TINY: Config = replace(
    CONFIG,
    cnn_shape=SMALL_SHAPE,
    cnn=replace(CONFIG.cnn, steps=2, batch=4, xla=False, stream=STREAM),
    rnn_shape=SMALL_RNN,
    rnn=RnnOptions(steps=2, batch=2, longest=4),
    phantoms=PhantomData(rnn=2, calibration=2, validation=1),
)
SHIFT, SHIFTED_STUDIES = next(iter(SHIFTED.items()))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Card, Path]:
    folder = tmp_path_factory.mktemp("default")
    measured = MeasuredStudies(TEST[49:51], {SHIFT: SHIFTED_STUDIES[:1]})
    card = build_default(TINY, folder / "bundle", folder / "run", measured=measured)
    return card, folder


def test_the_build_writes_a_verified_bundle(built: tuple[Card, Path]) -> None:
    card, folder = built
    verify(folder / "bundle")
    assert open_bundle(folder / "bundle").card == card
    assert card.blood_grid == (32, 32)


def test_the_card_states_the_training(built: tuple[Card, Path]) -> None:
    training = built[0].training
    assert training["cnn_slices"] == {"made": STREAM.slices_by(2), "seen": 8}
    assert training["studies"] == {"rnn": 2, "calibration": 2, "validation": 1, "cnn": STREAM.rounds_by(2) * 3}
    assert training["ancestors"] == []
    assert training["minutes"] >= training["cnn_minutes"] > 0


def test_metrics_are_of_the_given_studies(built: tuple[Card, Path]) -> None:
    metrics = built[0].metrics
    assert metrics["studies"] == 2
    assert list(metrics["shifted"]) == [SHIFT]
    assert set(metrics["beside"]) >= {"cnn", "area of the brain"}


def test_the_folder_of_the_run_has_what_another_machine_needs(built: tuple[Card, Path]) -> None:
    run = built[1] / "run"
    assert {"cnn.npz", "cnn-ended.npz", "cnn.jsonl"} <= {path.name for path in run.iterdir()}


def test_a_configuration_for_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no phantoms"):
        build_default(smoke.CONFIG, tmp_path / "bundle", tmp_path / "run")
