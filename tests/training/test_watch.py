import json
from dataclasses import replace
from pathlib import Path

from services.common.labels import LABELS
from tests.training.networks import SMALL_SHAPE, small_cnn
from training.config import Amounts
from training.configs.default import CONFIG
from training.fit_cnn import CnnFit
from training.stream import StreamPlan
from training.watch import fit_watched, watch_by

PLAN = StreamPlan(
    studies_a_round=3, slices_a_study=4, steps_a_round=2, rounds_kept=2, rounds_at_first=2, first_seed=9_720_000
)


def test_a_cnn_is_watched_by_its_auc_of_every_label() -> None:
    figures = watch_by(Amounts(rnn=0, calibration=0, watch=12))(small_cnn())
    assert list(figures) == list(LABELS)
    assert 0 < figures["any"] < 1


def test_a_training_leaves_weights_to_go_on_from_elsewhere(tmp_path: Path) -> None:
    amounts, fit = replace(CONFIG.amounts, watch=4), CnnFit(steps=1, batch=4, stream=PLAN)
    config = replace(CONFIG, amounts=amounts, cnn_shape=SMALL_SHAPE, cnn_fit=fit)
    first, progress = fit_watched(config, tmp_path)
    progress.checkpoint.unlink()
    second, _ = fit_watched(config, tmp_path)
    for one, two in zip(first.trunk.trainable_variables, second.trunk.trainable_variables, strict=True):
        assert (one.numpy() == two.numpy()).all()
    assert progress.minutes() > 0
    assert [json.loads(line)["step"] for line in (tmp_path / "cnn.jsonl").read_text().splitlines()] == [1]
