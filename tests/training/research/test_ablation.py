import json
from dataclasses import replace
from pathlib import Path

from services.common.labels import LABELS
from tests.training.small_networks import SMALL_SHAPE
from training.configs.default import CONFIG
from training.options.stream import StreamOptions
from training.phantom.study_options import StudyOptions, StudyRequest
from training.research.ablation import VARIANTS, ablate

SEED = 9_750_000
STREAM = StreamOptions(
    studies_a_round=2, slices_a_study=8, steps_a_round=2, rounds_kept=2, rounds_at_first=2, first_seed=SEED
)
FIT = replace(
    CONFIG.cnn,
    steps=2,
    xla=False,
    batch=4,
    stream=STREAM,
)


def test_each_variant_lacks_one_thing_alone() -> None:
    changed = {name: change(FIT) for name, change in VARIANTS.items()}
    assert changed.pop("everything") == FIT
    assert changed.pop("without masks") == replace(FIT, blood_weight=0.0)
    orders = {"without the borders of bone": StudyOptions(borders=False), "without mimics": StudyOptions(mimic=False)}
    assert changed == {name: replace(FIT, stream=replace(STREAM, options=order)) for name, order in orders.items()}


def test_a_variant_is_trained_measured_and_drawn(tmp_path: Path) -> None:
    wanted = [
        StudyRequest(SEED + 100, 12, StudyOptions(())),
        StudyRequest(SEED + 101, 12, StudyOptions(("subdural", "subarachnoid"))),
    ]
    variants = {"without masks": VARIANTS["without masks"]}
    ablate(FIT, tmp_path / "run", tmp_path / "out", shape=SMALL_SHAPE, variants=variants, wanted=wanted)
    written = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert set(written["cnn"]) == set(variants)
    assert written["steps"] == 2
    found = written["cnn"]["without masks"]
    assert set(found["slice_auc"]) == set(LABELS)
    assert 0 <= found["slice_any_auc_95_interval"][0] <= found["slice_auc"]["any"]
    assert (tmp_path / "out" / "ablation.svg").read_text().startswith("<?xml")
