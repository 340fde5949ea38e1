"""Plots of a part: curves, ratios with bounds, and values by unit."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.bench.figures import Curve, Figure

_ROW_INCHES: Final = 0.3
_CURVE_ROWS: Final = 10


def draw(part: str, figures: Sequence[Figure], curves: Sequence[Curve], path: Path) -> None:
    """Write one SVG; equal figures give equal bytes."""
    groups = list(_groups(figures))
    rows = [_CURVE_ROWS] * len(curves) + [len(group) + 2 for _, group in groups]
    with mpl.rc_context({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9}):
        figure, every = plt.subplots(
            len(rows),
            1,
            figsize=(10, _ROW_INCHES * sum(rows) + 1),
            layout="constrained",
            squeeze=False,
            gridspec_kw={"height_ratios": rows},
        )
        panels = list(every[:, 0])
        for axes, curve in zip(panels, curves, strict=False):
            _curve(axes, curve)
        for axes, (title, group) in zip(panels[len(curves) :], groups, strict=True):
            _bars(axes, title, [figure_.name.removeprefix(f"{part}: ") for figure_ in group], group)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _groups(figures: Sequence[Figure]) -> Iterator[tuple[str, list[Figure]]]:
    """All ratios, then the values by unit."""
    ratios = [figure for figure in figures if figure.ratio is not None]
    if ratios:
        yield "ratio", ratios
    for unit, group in groupby(sorted(figures, key=lambda figure: figure.unit), key=lambda figure: figure.unit):
        yield unit, list(group)


def _bars(axes: Axes, title: str, names: Sequence[str], figures: Sequence[Figure]) -> None:
    for row, figure in enumerate(figures):
        _bar(axes, row, figure, ratio=title == "ratio")
    axes.set(yticks=range(len(figures)), yticklabels=names, xlabel=title)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _bar(axes: Axes, row: int, figure: Figure, *, ratio: bool) -> None:
    width = figure.compared if ratio else figure.value
    axes.barh(row, width, color="tab:red" if figure.missed else "tab:blue", height=0.6)
    axes.annotate(f" {width:.3g}", (width, row), va="center", fontsize="small")
    if figure.bound is not None and ratio == (figure.ratio is not None):
        axes.plot([figure.bound] * 2, [row - 0.45, row + 0.45], color="black", linewidth=1.5)
    if figure.spread and not ratio:
        axes.plot(figure.spread, [row, row], color="black", linewidth=0.8)


def _curve(axes: Axes, curve: Curve) -> None:
    for name, points in curve.points.items():
        x, y = zip(*points, strict=True)
        axes.plot(x, y, marker="o", markersize=3, label=name)
    if curve.doubling:
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [f"{each:g}" for each in x])
    axes.set(title=curve.title, xlabel=curve.x, ylabel=curve.y)
    axes.set_ylim(bottom=0)
    if len(curve.points) > 1:
        axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
