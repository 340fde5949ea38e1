"""Plots on disk: drawn without a screen, and the same bytes for the same figures."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def save_plot(figure: Figure, path: Path) -> None:
    """Write a figure, and let go of it."""
    with mpl.rc_context({"svg.hashsalt": "training"}):  # without one, each run names the parts of an SVG anew
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
