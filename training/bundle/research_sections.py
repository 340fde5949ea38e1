"""Sections of a card's page about studies of `training.research`, from the files that they left beside its plots."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.common.labels import LABELS
from training.bundle.tables import number, table
from training.evaluate.metrics import UNCHANGED

_KIND_COLUMNS: Final = {
    "any_auc": "AUC of any",
    "any_auc_alone": "AUC of any, single slices",
    "own_auc": "AUC of its own label",
    "slices_called": "slices called",
    "series_called": "series called",
    "series_above_clean": "series above the unpainted one",
}
_VARIANT_COLUMNS: Final = {
    "median_any": "median of any",
    "series_any": "any of the series",
    "any_auc": "painted: AUC of any",
    "painted_called": "painted: series called",
    "painted_above_clean": "painted: series above the unpainted one",
}


def painted_section(path: Path) -> list[str]:
    """The section about painted haemorrhages; empty where the study was not run."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    plain = found["without"]
    text = (
        "Haemorrhages of simple shape, painted into one real series without any. Its head and scanner are not the "
        f"phantoms'; no patient had these haemorrhages. Unpainted, {plain['slices_called']} of its {plain['slices']} "
        f"slices are called; their median of any is {number(plain['median_any'])}. The series has "
        f"{number(plain['series_any'])} and is {'' if plain['series_called'] else 'not '}called. AUCs compare painted "
        "slices with those of the unpainted series."
    )
    parts = ["### Haemorrhages painted into a real series", text, _kind_table(found["kinds"])]
    if small := found.get("small"):
        parts += ["Haemorrhages as small as most patients', on a few slices:", _kind_table(small["kinds"])]
    return [*parts, *_variants(found)]


def ablation_section(path: Path) -> list[str]:
    """The section about the ablation study; empty where the study was not run."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    rows = (
        [name, *(number(each["slice_auc"][label]) for label in LABELS), number(each["series_auc"]["any"])]
        for name, each in found["cnn"].items()
    )
    text = (
        f"Small CNNs after {found['steps']} steps of {found['batch']} slices, with {found['phantom_slices']} "
        "different slices. Their own logits are scored on the same test phantoms, without an RNN."
    )
    head = ["AUC by slice of a training", *LABELS, "any by series"]
    return ["### Ablation study of the CNN", text, table(head, rows)]


def _kind_table(kinds: Mapping[str, Any]) -> str:
    rows = (
        [kind, str(each["series"]), str(each["slices"]), *(number(each[name]) for name in _KIND_COLUMNS)]
        for kind, each in kinds.items()
    )
    return table(["painted", "series", "slices", *_KIND_COLUMNS.values()], rows)


def _variants(found: Mapping[str, Any]) -> list[str]:
    """The table by scanner variant, with and without haemorrhages; older files lack it."""
    if "with" not in found:
        return []
    variants = {UNCHANGED: found["without"] | found["with"], **found["scanner_variants"]}
    head = ["the series", "unpainted: slices called", *_VARIANT_COLUMNS.values()]
    rows = [
        [name, str(each["slices_called"]), *(number(each[column]) for column in _VARIANT_COLUMNS)]
        for name, each in variants.items()
    ]
    if small := found.get("small"):
        head.append("small ones: AUC of any")
        aucs = {UNCHANGED: small["with"], **small["scanner_variants"]}
        rows = [[*row, number(aucs[row[0]]["any_auc"])] for row in rows]
    text = (
        "The same series as other scanners would show it. All kinds of haemorrhage have the same weight; AUCs compare "
        "slices of the same scanner."
    )
    return [text, table(head, rows)]
