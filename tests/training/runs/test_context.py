from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from training.configs.config import load_config
from training.data.splits import Parts
from training.io.errors import TrainingError
from training.io.files import write_json
from training.rsna.shards import Shards
from training.runs.context import RunContext, RunOptions
from training.runs.run import Run

CONFIG = replace(load_config("smoke"), validation_fold=1)
NONE = RunOptions()


def _context(folder: Path, options: RunOptions = NONE) -> RunContext:
    """A context whose shards are two patients a fold, two series a patient, of folds 0 to 2, and a test series."""
    labelled = [SimpleNamespace(split="train", fold=at % 3, patient_id=f"p{at % 6}") for at in range(12)]
    entries = [SimpleNamespace(split="test", fold=0, patient_id="t"), *labelled]
    context = RunContext(CONFIG, folder / "shards", Run(folder), options)
    context.__dict__["source"] = cast("Shards", SimpleNamespace(entries=entries, digest="abc"))
    return context


def test_the_command_lines_steps_overrule_those_of_both_networks(tmp_path: Path) -> None:
    context = _context(tmp_path, RunOptions(steps=7))
    assert context.cnn_options == replace(CONFIG.cnn, steps=7)
    assert context.rnn_options == replace(CONFIG.rnn, steps=7)


def test_without_options_the_configuration_holds(tmp_path: Path) -> None:
    assert _context(tmp_path).cnn_options == CONFIG.cnn
    assert _context(tmp_path).rnn_options == CONFIG.rnn


@pytest.mark.parametrize("limit", [None, 2])
def test_indices_find_the_series_of_every_part_among_the_entries(tmp_path: Path, limit: int | None) -> None:
    context = _context(tmp_path, RunOptions(limit=limit))
    for part in ("train", "validation", "held_out", "test"):
        numbers, places = getattr(context.parts, part), getattr(context.indices, part)
        assert [context.entries[place] for place in places] == [context.source.entries[each] for each in numbers]
    assert len(context.parts.train) == (limit or 4)
    assert isinstance(context.indices, Parts)


def test_the_digest_of_the_data_changes_with_the_limit(tmp_path: Path) -> None:
    assert _context(tmp_path).data_digest() != _context(tmp_path, RunOptions(limit=2)).data_digest()


def test_networks_are_not_loaded_before_the_features_are_finished(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="python -m training features"):
        _context(tmp_path).load_networks()


def test_a_calibration_is_read_only_once_its_step_is_finished(tmp_path: Path) -> None:
    context = _context(tmp_path)
    calibration: dict[str, Any] = {"temperatures": {"any": 1.5}, "thresholds": {}}
    write_json(tmp_path / "calibration.json", calibration)
    context.run.start("calibrate", {})
    with pytest.raises(TrainingError, match="python -m training calibrate"):
        context.load_calibration()
    context.run.finish("calibrate")
    assert context.load_calibration() == calibration
