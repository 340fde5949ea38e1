"""Plots of a bundle's metrics, from its card and the log of its training."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from services.common.card import Card
from services.common.labels import LABELS
from training.io.plotting import save_plot

LEVELS: Final = ("slice", "series")


def draw(card: Card, run: Path | None, folder: Path) -> None:
    """Write the plots; validation during training only with a run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _aucs(card.metrics, folder / "auc.svg")
    _curves(card.metrics["curves"], folder / "curves.svg")
    if card.metrics["shifted"]:
        _shifted(card.metrics, folder / "shifted.svg")
    if run:
        _validation(run / "cnn.jsonl", folder / "learning.svg")


def _aucs(metrics: dict[str, Any], path: Path) -> None:
    figure, both = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained", sharey=True)
    for axes, level in zip(both, LEVELS, strict=True):
        others = {name: given[level] for name, given in metrics["beside"].items()}
        rows = {"the bundle": {label: metrics[level][label]["auc"] for label in LABELS}, **others}
        for number, (name, found) in enumerate(rows.items()):
            places = np.arange(len(LABELS)) + (number - len(rows) / 2 + 0.5) * 0.16
            axes.bar(places, [found[label] or np.nan for label in LABELS], 0.15, label=name)
        low, high = np.array([metrics[level][label]["auc_95_interval"] for label in LABELS], float).T
        middle = np.array([rows["the bundle"][label] for label in LABELS], float)
        first = np.arange(len(LABELS)) - (len(rows) / 2 - 0.5) * 0.16
        axes.errorbar(first, middle, [middle - low, high - middle], fmt="none", color="black", linewidth=1)
        axes.set(title=f"AUC by {level}", ylim=(0.4, 1.01), xticks=range(len(LABELS)))
        axes.set_xticklabels(LABELS, rotation=20)
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    save_plot(figure, path)


def _curves(curves: dict[str, Any], path: Path) -> None:
    figure, every = plt.subplots(2, 3, figsize=(12, 7.4), layout="constrained")
    for row, level in zip(every, LEVELS, strict=True):
        for label in LABELS:
            if curves[level][label]["roc"]:
                row[0].plot(np.linspace(0, 1, 21), curves[level][label]["roc"], label=label)
                row[1].plot(np.linspace(0.05, 1, 20), curves[level][label]["precision_recall"], label=label)
            mean, share, cases = np.array(curves[level][label]["reliability"]).reshape(-1, 3).T
            row[2].plot(mean, share, marker="o", markersize=3, label=f"{label} ({int(cases.sum())})")
        row[0].set(title=f"ROC by {level}", xlabel="1 - specificity", ylabel="sensitivity")
        row[1].set(title=f"precision and recall by {level}", xlabel="sensitivity", ylabel="precision", ylim=(0, 1.02))
        row[2].set(title=f"reliability by {level}", xlabel="mean probability", ylabel="share of positives")
        _diagonal(row[2])
        if row[0].lines:  # a label without positives or without negatives has no curve
            row[0].legend(frameon=False, fontsize="small")
    save_plot(figure, path)


def _shifted(metrics: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    rows = {"as drawn": {"slice": metrics["slice"]["any"]["auc"], "series": metrics["series"]["any"]["auc"]}}
    rows |= {
        name: {level: found[f"{level}_auc"]["any"] for level in LEVELS} for name, found in metrics["shifted"].items()
    }
    for number, level in enumerate(LEVELS):
        axes.bar(
            np.arange(len(rows)) + 0.4 * number - 0.2, [found[level] for found in rows.values()], 0.38, label=level
        )
    twins = [
        found["slice_auc"]["any"] + found.get("any_slice_auc_lost", np.nan) for found in metrics["shifted"].values()
    ]
    places = np.arange(1, len(rows)) - 0.2
    axes.hlines(twins, places - 0.19, places + 0.19, color="black", label="slice, the same\nwithout the shift")
    axes.set(title="AUC of any on shifted phantoms", ylim=(0.5, 1.01), xticks=range(len(rows)))
    axes.set_xticklabels(list(rows), rotation=12)
    figure.legend(loc="outside right upper", frameon=False)
    save_plot(figure, path)


def _validation(path: Path, out: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    measured = {line["step"]: line for line in lines if LABELS[0] in line}
    figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for label in LABELS:
        x = [line["phantom_slices"] for line in measured.values()]
        axes.plot(x, [line[label] for line in measured.values()], marker="o", markersize=3, label=label)
    axes.set(title="Validation AUC of the CNN during training", xlabel="phantom slices", ylabel="AUC by slice")
    axes.legend(frameon=False, fontsize="small", ncols=2)
    save_plot(figure, out)


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
