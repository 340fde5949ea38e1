"""A bundle's card as a page of Markdown, beside the pictures of `training.bundle.plots`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.common.card import Card
from training.bundle.research_sections import ablation_section, painted_section
from training.bundle.tables import baseline_table, level_table, number, shift_table, threshold_table, training_table
from training.evaluate.targets import target_table

_LEVELS: Final = {"slice": "By slice", "series": "By series"}
_POINTS: Final = (
    "Sensitivities and specificities above follow this rule. Points are ordered: sensitive <= default <= specific. "
    "`sensitive` is the smaller of the `default` threshold and the threshold for 95 % sensitivity. `specific` is the "
    "larger of the `default` threshold and the threshold for 95 % specificity."
)
_PICTURES: Final = {
    "auc.svg": "AUC of every label beside the baselines, with 95 % intervals",
    "curves.svg": "ROC, precision-recall and reliability curves",
    "shifted.svg": "AUC of any on shifted phantoms",
    "ablation.svg": "AUC by slice in the ablation study",
    "implanted.jpg": "Haemorrhages painted into a real series, one kind per row, in the order of both tables",
    "learning.svg": "Validation AUC of the CNN by the number of phantom slices seen",
}


def card_page(card: Card, folder: Path) -> str:
    """The page: metrics, limits of use, training.

    Parameters
    ----------
    folder : of the pictures, beside the page; the page shows those that exist
    """
    metrics = card.metrics
    parts = [
        f"# The bundle `{card.name}`",
        card.description,
        "## Metrics",
        f"Measured on {metrics['studies']} studies with {metrics['slices']} slices ({metrics['data']}). The median "
        f"probability of any in healthy slices is {number(metrics['healthy_slices_median_any'])}.",
        *_without_rows(metrics),
        *(part for level, title in _LEVELS.items() for part in _level(metrics[level], title)),
        "### Thresholds",
        f"{card.prediction_rule} {_POINTS}",
        threshold_table(card),
        "### Baselines",
        baseline_table(metrics),
        *_of_phantoms(metrics),
        *painted_section(folder / "implanted.json"),
        *ablation_section(folder / "ablation.json"),
        *(f"![{words}]({folder.name}/{name})" for name, words in _PICTURES.items() if (folder / name).exists()),
        "## Limits of use",
        "\n".join(f"- {limit}" for limit in card.limits_of_use),
        "## Training",
        f"Data: {card.data_terms}. Licence of this bundle: {card.licence}. Ancestors are named by the first digits of "
        "their card's SHA-256.",
        training_table(card),
    ]
    return "\n\n".join(parts) + "\n"


def _without_rows(metrics: Mapping[str, Any]) -> list[str]:
    """The labels without a known row in a site's table."""
    unknown = metrics.get("labels_without_rows", {})
    found = [f"{', '.join(labels)} ({_LEVELS[level].lower()})" for level, labels in unknown.items() if labels]
    return [f"The table has no known row, and so this page no metrics, for {'; '.join(found)}."] if found else []


def _level(figures: Mapping[str, Any], title: str) -> list[str]:
    return [f"### {title}", level_table(figures), f"Weighted log loss {number(figures['weighted_log_loss'])}."]


def _of_phantoms(metrics: Mapping[str, Any]) -> list[str]:
    """Sections of a bundle of phantoms alone."""
    if not metrics["shifted"]:
        return []
    shifted = shift_table(metrics["shifted"])
    return ["### Shifted phantoms", shifted, "### Targets", target_table(metrics).rstrip()]
