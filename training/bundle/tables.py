"""Tables of a card's page, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from services.common.card import Card
from services.common.labels import LABELS, Label
from services.common.operating_points import LEVELS, Level, OperatingPoint, Thresholds
from training.bundle.ancestors import ancestors_of

_POINTS: Final[tuple[OperatingPoint, ...]] = ("default", "sensitive", "specific")
_DIGITS: Final = 8  # of a SHA-256 in a table


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None) -> str:
    """Three decimals; a dash without a value."""
    return "-" if value is None else f"{value:.3f}"


def level_table(figures: Mapping[str, Any]) -> str:
    """Metrics of every label at one level; older cards have no calibration error by chance."""
    chance = "chance_calibration_error" in figures["any"]
    head = ["label", "positives", "AUC (95 %)", "average precision (95 %)"]
    head += ["calibration error (expected by chance)" if chance else "calibration error"]
    head += [f"{point}: sensitivity / specificity" for point in _POINTS]
    return table(head, [_label_row(label, figures[label]) for label in LABELS])


def _label_row(label: str, figures: Mapping[str, Any]) -> list[str]:
    error, chance = number(figures["calibration_error"]), figures.get("chance_calibration_error")
    return [
        label,
        f"{figures['positives']} of {figures['positives'] + figures['negatives']}",
        *(_with_interval(figures, name) for name in ("auc", "average_precision")),
        error if chance is None else f"{error} ({number(chance)})",
        *(f"{number(figures[p]['sensitivity'])} / {number(figures[p]['specificity'])}" for p in _POINTS),
    ]


def _with_interval(figures: Mapping[str, Any], name: str) -> str:
    low, high = figures[f"{name}_95_interval"]
    return f"{number(figures[name])} ({number(low)} to {number(high)})"


def threshold_table(card: Card) -> str:
    """Thresholds of every label, with the basis of their choice where the card records it."""
    columns = [(point, level) for level in LEVELS for point in _POINTS if point in card.thresholds]
    head = ["label", *(f"{level}, {point}" for point, level in columns)]
    rows = ([label, *(_threshold(card.thresholds[p], level, label) for p, level in columns)] for label in LABELS)
    return table(head, rows)


def _threshold(thresholds: Thresholds, level: Level, label: Label) -> str:
    value = f"{thresholds.for_level(level)[label]:.4g}"
    return f"{value} ({thresholds.basis.for_level(level)[label].replace('_', ' ')})" if thresholds.basis else value


def baseline_table(metrics: Mapping[str, Any]) -> str:
    """AUCs of the bundle and of the predictors beside it."""
    own = {level: {label: metrics[level][label]["auc"] for label in LABELS} for level in LEVELS}
    predictors = {"the bundle": own | {"middle_slice": metrics["middle_slice_auc"]}, **metrics["beside"]}
    levels = {"slice": "slices", "middle_slice": "slices of the middle half", "series": "series"}
    rows = (
        [name, words, *(number(aucs[level][label]) for label in LABELS)]
        for level, words in levels.items()
        for name, aucs in predictors.items()
    )
    return table(["AUC of", "on", *LABELS], rows)


def shift_table(shifted: Mapping[str, Any]) -> str:
    """AUCs under each shift; older cards have no twins of the studies without it."""
    paired = all("any_slice_auc_lost" in found for found in shifted.values())
    head = ["shift", "AUC of any, slices (95 %)", "below the test set's"]
    head += ["below the same studies' without the shift (95 %)"] if paired else []
    head += ["AUC of any, series", "median of healthy slices"]
    return table(head, (_shift_row(name, found, paired=paired) for name, found in shifted.items()))


def _shift_row(name: str, found: Mapping[str, Any], *, paired: bool) -> list[str]:
    auc = {"any_slice_auc": found["slice_auc"]["any"]}
    return [
        name,
        _with_interval({**found, **auc}, "any_slice_auc"),
        number(found["any_slice_auc_drop"]),
        *([_with_interval(found, "any_slice_auc_lost")] if paired else []),
        number(found["series_auc"]["any"]),
        number(found["healthy_slices_median_any"]),
    ]


def training_table(card: Card) -> str:
    """The training of the bundle and of its ancestors, nearest first."""
    head = ["bundle", "weights used as", "command", "backbone", "slices seen by the CNN (different)"]
    head += ["series or studies of the RNN", "minutes (of the CNN)"]
    ancestors = ancestors_of(card.training)
    rows = [_training_row("this bundle", "-", card.training)]
    rows += [_training_row(f"`{_short(each)}`", _use(each), each) for each in ancestors]
    return table(head, rows)


def _training_row(name: str, use: str, training: Mapping[str, Any]) -> list[str]:
    slices = training.get("cnn_slices")
    seen = f"{slices['seen']} ({slices['made']})" if slices else f"- ({training.get('slices', '-')})"
    return [
        name,
        use,
        f"`{training.get('command')}`",
        training.get("backbone", "-"),
        seen,
        _rnn(training),
        _minutes(training),
    ]


def _rnn(training: Mapping[str, Any]) -> str:
    count = training.get("studies", {}).get("rnn", training.get("series", {}).get("train", "-"))
    scanners = training.get("rnn", {}).get("other_scanners", {"count": 0})
    if not scanners["count"]:
        return str(count)
    drawn = "" if scanners.get("alone") else "as drawn and "
    return f"{count}, {drawn}by {scanners['count']} augmented scanners"


def _minutes(training: Mapping[str, Any]) -> str:
    minutes = training.get("minutes", 60 * training.get("hours", 0))
    return f"{minutes:.0f} ({training['cnn_minutes']:.0f})" if "cnn_minutes" in training else f"{minutes:.0f}"


def _use(ancestor: Mapping[str, Any]) -> str:
    uses = ["initial weights"] if ancestor["initial_weights"] else []
    uses += [f"{ancestor['soup_weight']:.0%} of the CNN's weights"] if ancestor["soup_weight"] is not None else []
    descendant = f"`{ancestor['used_by'][:_DIGITS]}`" if ancestor["used_by"] else "this bundle"
    return f"{' and '.join(uses)} of {descendant}"


def _short(ancestor: Mapping[str, Any]) -> str:
    return f"{ancestor['name']} {ancestor['card_sha256'][:_DIGITS]}"
