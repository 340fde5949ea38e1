"""A site's own data: any subset of the labels gives figures, and copies of files count once."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from services.common.labels import LABELS
from services.common.operating_points import Thresholds
from services.common.recipe import DEFAULT_RECIPE
from services.preprocess.pipeline import Pipeline
from tests.scans import ct_slice, head, series
from training.evaluate.bundle_on_files import Answered, figures_of, without_copies
from training.evaluate.labelled_files import File, Row, any_of, site_files

ALL = dict.fromkeys(LABELS, 0.5)
POINTS = {"default": Thresholds(slice=ALL, series=ALL)}
SUBSETS = [labels for count in range(1, len(LABELS) + 1) for labels in combinations(LABELS, count)]


def answered(labels: Sequence[str], number: int) -> Answered:
    """Eight slices, of which the rows know some labels; those of odd series hold blood."""
    rng = np.random.default_rng(number)
    rows: list[Row] = [
        tuple(bool(number % 2 and index > 4) if label in labels else None for label in LABELS) for index in range(8)
    ]
    scores = rng.random((8, 6)).astype(np.float32)
    return Answered(scores, scores.max(axis=0), tuple(rows), tuple(map(any_of, zip(*rows, strict=True))), f"{number}")


@pytest.mark.parametrize("labels", [*SUBSETS[::7], LABELS])
def test_any_subset_of_the_labels_gives_figures(labels: Sequence[str]) -> None:
    found = figures_of([answered(labels, number) for number in range(3)], POINTS)  # type: ignore[arg-type] # one point
    unknown = [label for label in LABELS if label not in labels]
    assert found["labels_without_rows"] == {"slice": unknown, "series": unknown}
    for level in ("slice", "series"):
        assert [label for label in LABELS if found[level][label]["auc"] is None] == unknown
    json.dumps(found, allow_nan=False)


@pytest.fixture
def files(tmp_path: Path) -> list[File]:
    sent = {**series(3), "copy.dcm": series(3)["001.dcm"], "other.dcm": ct_slice(2, head(brain_hu=70))}
    for name, data in sent.items():
        (tmp_path / name).write_bytes(data)
    return site_files(tmp_path)


def test_copies_are_left_out_and_counted(files: list[File]) -> None:
    counts: Counter[str] = Counter()
    with Pipeline(DEFAULT_RECIPE, 1) as pipeline:
        kept, report = without_copies(pipeline, files, counts)
    assert [file.name for file in kept] == ["000.dcm", "001.dcm", "002.dcm", "other.dcm"]
    assert [item.file for item in report.series[0].items] == [0, 1, 2, 3]
    assert counts == {"files that are copies": 1}
