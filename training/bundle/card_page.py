"""A bundle's card as a page for people: Markdown, beside the pictures of `training.bundle.plots`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from services.common.card import Card
from services.common.labels import LABELS, Label
from services.common.operating_points import LEVELS, Level, OperatingPoint, Thresholds
from training.evaluate.metrics import UNCHANGED
from training.evaluate.targets import table as targets

_LEVELS: Final = {"slice": "By slice", "series": "By series"}
_POINTS: Final[tuple[OperatingPoint, ...]] = ("default", "sensitive", "specific")
_ELSEWHERE: Final = {
    "median_any": "median of any",
    "series_any": "any of the series",
    "any_auc": "with blood: AUC of any",
    "painted_called": "series called",
    "painted_above_clean": "series above the one without",
}
_PICTURES: Final = {
    "auc.svg": "AUC of every label beside what one may compare with; the lines are 95 % intervals",
    "curves.svg": "ROC, and how often what was said came true",
    "shifted.svg": "AUC of any where phantoms are unlike those of the training",
    "ablation.svg": "AUC by slice after short trainings, each without one part",
    "implanted.jpg": "Blood put into a real series, a kind a row, in the order of both tables",
    "learning.svg": "AUC of the CNN alone, on slices that it never learnt from, against the phantoms it has seen",
}


def card_page(card: Card, folder: Path) -> str:
    """The page; of the pictures, those that are in `folder`, which stands beside it."""
    metrics = card.metrics
    parts = [
        f"# The bundle `{card.name}`",
        card.description,
        "\n".join(f"- {limit}" for limit in card.limits_of_use),
        "## How it was made",
        f"{card.data_terms}. Licence of this bundle: {card.licence}. `{card.training['command']}`: "
        f"{_made(card.training)}",
        "## What it can do",
        f"Measured on {metrics['studies']} studies with {metrics['slices']} slices ({metrics['data']}). Healthy slices "
        f"have a median probability of any of {_number(metrics['healthy_slices_median_any'])}.",
        *_without_rows(metrics),
        *(_level(metrics[level], title) for level, title in _LEVELS.items()),
        "### Thresholds",
        _rule(card),
        _thresholds(card),
        "### Beside others",
        _beside(metrics),
        *_of_phantoms(metrics),
        *_implanted(folder / "implanted.json"),
        *_ablation(folder / "ablation.json"),
        *(f"![{words}]({folder.name}/{name})" for name, words in _PICTURES.items() if (folder / name).exists()),
    ]
    return "\n\n".join(parts) + "\n"


def _made(training: Mapping[str, Any]) -> str:
    if "cnn_slices" not in training:
        return f"backbone {training['backbone']}; {training['hours']:.2f} hours in all."
    slices, before = training["cnn_slices"], training.get("begins_as")
    made = (
        f"backbone {training['backbone']}; the CNN saw {slices['seen']} slices out of {slices['made']} different ones, "
        f"the RNN {training['studies']['rnn']} studies{_once_more(training)}; {training['minutes']:.0f} minutes in all"
        f"{_of_which(training)}."
    )
    if before:
        made += f" It began as an earlier bundle `{before['name']}` ({_made(before)})"
    if other := training.get("stirred_in"):
        made += f" Of the CNN's weights {training['stirred']:.0%} are "
        again = before and before["card_sha256"] == other["card_sha256"]
        made += "still its." if again else f"those of an earlier bundle `{other['name']}` ({_made(other)})"
    return made


def _without_rows(metrics: Mapping[str, Any]) -> list[str]:
    """Labels of which a site's table knows nothing."""
    unknown = metrics.get("labels_without_rows", {})
    told = [f"{', '.join(labels)} ({_LEVELS[level].lower()})" for level, labels in unknown.items() if labels]
    return [f"The table has no known row, so there are no figures, of {'; '.join(told)}."] if told else []


def _once_more(training: Mapping[str, Any]) -> str:
    others = training["rnn"].get("other_scanners", {"count": 0})
    also = "" if others.get("alone") else "also "
    return f", each {also}as {others['count']} other scanners would show it" if others["count"] else ""


def _of_which(training: Mapping[str, Any]) -> str:
    return f", {training['cnn_minutes']:.0f} of them the CNN's" if "cnn_minutes" in training else ""


def _level(figures: Mapping[str, Any], title: str) -> str:
    head = ["label", "positives", "AUC (95 %)", "average precision (95 %)"]
    head.append(
        "calibration error (what chance alone leaves)"
        if "chance_calibration_error" in figures["any"]
        else "calibration error"
    )
    head += [f"{point}: sensitivity / specificity" for point in _POINTS]
    rows = [_row(label, figures[label]) for label in LABELS]
    loss = f"Weighted log loss {_number(figures['weighted_log_loss'])}."
    return "\n\n".join([f"### {title}", _table(head, rows), loss])


def _row(label: str, figures: Mapping[str, Any]) -> list[str]:
    return [
        label,
        f"{figures['positives']} of {figures['positives'] + figures['negatives']}",
        _with_interval(figures, "auc"),
        _with_interval(figures, "average_precision"),
        _calibration(figures),
        *(f"{_number(figures[p]['sensitivity'])} / {_number(figures[p]['specificity'])}" for p in _POINTS),
    ]


def _calibration(figures: Mapping[str, Any]) -> str:
    error, chance = _number(figures["calibration_error"]), figures.get("chance_calibration_error")
    return error if chance is None else f"{error} ({_number(chance)})"


def _with_interval(figures: Mapping[str, Any], name: str) -> str:
    return f"{_number(figures[name])} {_interval(figures[f'{name}_95_interval'])}"


def _interval(ends: Sequence[float | None]) -> str:
    low, high = ends
    return f"({_number(low)} to {_number(high)})"


def _rule(card: Card) -> str:
    return (
        f"{card.prediction_rule} Sensitivities and specificities above are measured with this rule. Points are "
        "ordered: sensitive <= default <= specific. `sensitive` is the smaller of that of `default` and the threshold "
        "for 95 % sensitivity, `specific` the larger of that of `default` and the one for 95 % specificity."
    )


def _thresholds(card: Card) -> str:
    """Of every label; behind each how it was chosen, where the card records that."""
    columns = [(point, level) for level in LEVELS for point in _POINTS if point in card.thresholds]
    head = ["label", *(f"{level}, {point}" for point, level in columns)]
    rows = [
        [label, *(_threshold(card.thresholds[point], level, label) for point, level in columns)] for label in LABELS
    ]
    return _table(head, rows)


def _threshold(thresholds: Thresholds, level: Level, label: Label) -> str:
    value = f"{thresholds.for_level(level)[label]:.4g}"
    return f"{value} ({thresholds.basis.for_level(level)[label].replace('_', ' ')})" if thresholds.basis else value


def _beside(metrics: Mapping[str, Any]) -> str:
    given = {level: {label: metrics[level][label]["auc"] for label in LABELS} for level in _LEVELS}
    every = {"the bundle": given | {"middle_slice": metrics["middle_slice_auc"]}, **metrics["beside"]}
    words = {"slice": "slices", "middle_slice": "slices of the middle half", "series": "series"}
    rows = [
        [name, words[level], *(_number(found[level][label]) for label in LABELS)]
        for level in words
        for name, found in every.items()
    ]
    return _table(["AUC of", "on", *LABELS], rows)


def _of_phantoms(metrics: Mapping[str, Any]) -> list[str]:
    """What only a bundle of phantoms is asked to reach."""
    if not metrics["shifted"]:
        return []
    shifted = _shifted(metrics["shifted"])
    return ["### On shifted phantoms", shifted, "### What it was to reach", targets(metrics).rstrip()]


def _implanted(path: Path) -> list[str]:
    """What `training.research.painted_blood_study` found, where it was asked."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    plain = found["without"]
    words = (
        "Blood of simple form, painted into one real series in which nothing bleeds: another head and another scanner "
        f"than any phantom's, and no patient who bled. Without it {plain['slices_called']} of the series' "
        f"{plain['slices']} slices are called, their median of any is {_number(plain['median_any'])}, and the series, "
        f"at {_number(plain['series_any'])}, is {'' if plain['series_called'] else 'not '}called. AUCs are of slices "
        "with blood against those of the series without."
    )
    parts = ["### Blood put into a real series", words, _painted(found["kinds"])]
    if small := found.get("small"):
        parts += ["And blood as small as most of patients' is, on a few slices:", _painted(small["kinds"])]
    return [*parts, *_otherwise(found)]


def _painted(kinds: Mapping[str, Any]) -> str:
    names = ("any_auc", "any_auc_alone", "own_auc", "slices_called", "series_called", "series_above_clean")
    rows = [
        [kind, str(each["series"]), str(each["slices"]), *(_number(each[name]) for name in names)]
        for kind, each in kinds.items()
    ]
    head = ["painted", "series", "slices", "AUC of any", "of slices alone", "AUC of its own label"]
    head += ["slices called", "series called", "series above the one without"]
    return _table(head, rows)


def _otherwise(found: Mapping[str, Any]) -> list[str]:
    """What is said of the series with and without blood, had another scanner made it; older figures lack it."""
    if "with" not in found:
        return []
    every = {UNCHANGED: found["without"] | found["with"], **found["otherwise"]}
    head = ["the series", "without blood: slices called", *_ELSEWHERE.values()]
    rows = [
        [name, str(said["slices_called"]), *(_number(said[column]) for column in _ELSEWHERE)]
        for name, said in every.items()
    ]
    if small := found.get("small"):
        head.append("with small blood: AUC of any")
        given = {UNCHANGED: small["with"], **small["otherwise"]}
        rows = [[*row, _number(given[row[0]]["any_auc"])] for row in rows]
    words = (
        "And as other scanners might have shown it, without and with blood. Kinds of blood count alike; AUCs are of "
        "slices with blood against those without on the same scanner."
    )
    return [words, _table(head, rows)]


def _ablation(path: Path) -> list[str]:
    """What `training.research.ablation` found, where it was asked."""
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    rows = [
        [name, *(_number(each["slice_auc"][label]) for label in LABELS), _number(each["series_auc"]["any"])]
        for name, each in found["cnn"].items()
    ]
    words = (
        f"CNNs of a small form after {found['steps']} steps of {found['batch']} slices out of "
        f"{found['phantom_slices']}, by their own logits on the same test phantoms; what the RNN adds stands above, "
        "beside `cnn`."
    )
    head = ["AUC by slice of a training", *LABELS, "any by series"]
    return ["### What each part is worth", words, _table(head, rows)]


def _shifted(shifted: Mapping[str, Any]) -> str:
    """What a shift alone costs is measured on twins of the studies without it; older figures have none of it."""
    paired = all("any_slice_auc_lost" in found for found in shifted.values())
    head = ["shift", "AUC of any, slices (95 %)", "less than the hundred's"]
    head += ["less than the same studies' without the shift (95 %)"] if paired else []
    head += ["AUC of any, series", "median of healthy slices"]
    rows = [
        [
            name,
            f"{_number(found['slice_auc']['any'])} {_interval(found['any_slice_auc_95_interval'])}",
            _number(found["any_slice_auc_drop"]),
            *([_lost(found)] if paired else []),
            _number(found["series_auc"]["any"]),
            _number(found["healthy_slices_median_any"]),
        ]
        for name, found in shifted.items()
    ]
    return _table(head, rows)


def _lost(found: Mapping[str, Any]) -> str:
    return f"{_number(found['any_slice_auc_lost'])} {_interval(found['any_slice_auc_lost_95_interval'])}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
