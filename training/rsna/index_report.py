"""Report of an index: number of files, files set aside with their reasons, missing labels."""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from services.common.labels import LABELS
from training.io.files import write_atomically, write_json
from training.rsna.headers import REASON_TEXTS, stem
from training.rsna.labels import LabelTable

LOG = logging.getLogger(__name__)


def write_report(out: Path, index: Any, labels: LabelTable) -> None:
    """Write `.set_aside.txt`, one line a file, and `.json`, the counts, beside the index; log the counts."""
    aside = _set_aside(index, labels)
    lines = [f"{file}\t{code}\t{REASON_TEXTS[code]}\n" for file, code in aside]
    write_atomically(out.with_suffix(".set_aside.txt"), lambda part: part.write_text("".join(lines), "utf-8"))
    counts = _counts(index, labels) | {"set_aside": dict(Counter(code for _, code in aside))}
    write_json(out.with_suffix(".json"), counts)
    for name, count in counts.items():
        LOG.info("%s: %s", name.replace("_", " "), json.dumps(count))


def _set_aside(index: Any, labels: LabelTable) -> list[tuple[str, str]]:
    rows = index.filter(pc.is_valid(index["reason"])).select(["file", "reason"]).to_pylist()
    aside = [(row["file"], row["reason"]) for row in rows]
    held = {stem(file) for file in index["file"].to_pylist()}
    return aside + [(name, "missing_file") for name in labels.slices.to_pylist() if name not in held]


def _counts(index: Any, labels: LabelTable) -> dict[str, Any]:
    used = index.filter(pc.is_null(index["reason"]))
    train = used.filter(pc.equal(used["split"], "train"))
    return {
        "files": index.num_rows,
        "training_slices": train.num_rows,
        "test_slices": used.num_rows - train.num_rows,
        "patients": pc.count_distinct(used["patient_id"]).as_py(),
        "series": pc.count_distinct(used["series_uid"]).as_py(),
        "positive_slices": {label: pc.sum(train[label]).as_py() or 0 for label in LABELS},
        "intercepts_mended": pc.sum(used["intercept_repaired"]).as_py() or 0,
        "label_rows_twice": labels.duplicates,
        "labels_that_disagree": labels.conflicts,
        "labels_missing": labels.missing,
        "training_slices_without_labels": train[LABELS[0]].null_count,
    }
