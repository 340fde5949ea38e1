from pathlib import Path

from matplotlib import pyplot as plt

from training.io.plotting import save_plot


def _drawn(path: Path) -> bytes:
    figure, axes = plt.subplots()
    axes.bar([0, 1], [2, 3])
    save_plot(figure, path)
    return path.read_bytes()


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    before = len(plt.get_fignums())
    assert _drawn(tmp_path / "one.svg") == _drawn(tmp_path / "two.svg")
    assert len(plt.get_fignums()) == before
