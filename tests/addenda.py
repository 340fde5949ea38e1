"""Addenda of the fake bundle."""

from pathlib import Path

from services.common.addenda import Addendum, LabelFigures, LevelFigures, PointFigures, Rate
from services.common.card import open_bundle
from services.common.labels import LABELS

COUNTS = {"tp": 45, "fp": 20, "tn": 180, "fn": 5}


def addendum_of(
    bundle: Path, name: str = "2026-11-28-site", *, data: str = "every head CT of a site in 2025"
) -> Addendum:
    """An evaluation of the bundle in a folder: sensitivity 0.9 and specificity 0.9 for every label."""
    rate = Rate(value=0.9, low=0.85, high=0.93)
    points = {point: PointFigures(**COUNTS, sensitivity=rate, specificity=rate) for point in ("default", "sensitive")}
    figures = LabelFigures(positives=50, negatives=200, auc=0.95, auc_95_interval=(0.92, 0.97), points=points)
    opened = open_bundle(bundle)
    return Addendum(
        id=name,
        bundle=opened.card.name,
        card_sha256=opened.card_sha256,
        created="2026-11-28T10:00:00.000Z",
        software="0.6.0",
        data=data,
        patients=240,
        series=250,
        slices=8000,
        left_out={"not assessed": 3},
        figures=LevelFigures(slice=dict.fromkeys(LABELS, figures), series=dict.fromkeys(LABELS, figures)),
    )


def write_addendum(bundle: Path, addendum: Addendum) -> Path:
    """Write an addendum into a bundle's folder, unsigned."""
    path = bundle / "addenda" / f"{addendum.id}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(addendum.model_dump_json())
    return path
