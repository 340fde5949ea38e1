"""Results of a benchmark: figures with bounds, curves, and their files."""

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

Better = Literal["less", "more"]
Point = tuple[float, float]
JSON_NAME: Final = "bench.json"
TABLE_NAME: Final = "bench.md"


@dataclass(frozen=True)
class Figure:
    """One figure of a run.

    value : median, in `unit`; seconds of two machines or days are not comparable
    ratio : relation to another value of the same run; comparable between runs
    bound : limit of the ratio, or of the value without a ratio: an upper limit, or a lower one where more is better
    spread : 10th and 90th percentile of the value
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    bound: float | None = None
    better: Better = "less"
    spread: Point | None = None

    @property
    def compared(self) -> float:
        """The number that the bound limits."""
        return self.value if self.ratio is None else self.ratio

    @property
    def missed(self) -> bool:
        """Whether the bound exists and is violated."""
        if self.bound is None:
            return False
        return self.compared > self.bound if self.better == "less" else self.compared < self.bound

    @property
    def bound_text(self) -> str:
        """The bound as text; empty without one."""
        if self.bound is None:
            return ""
        return f"at {'most' if self.better == 'less' else 'least'} {self.bound:g}"

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.3f}"
        return f"{self.name:76}{self.value:11.2f} {self.unit:12}{ratio:>8}   {self.bound_text}{_mark(self)}".rstrip()


@dataclass(frozen=True)
class Curve:
    """Lines to draw; points by name of the line."""

    title: str
    x: str
    y: str
    points: Mapping[str, Sequence[Point]]
    doubling: bool = False  # x doubles from point to point


@dataclass(frozen=True)
class Note:
    """A sentence in place of a figure that this machine cannot give."""

    text: str

    def __str__(self) -> str:
        return self.text


def measured(
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    ratio: float | None = None,
    bound: float | None = None,
    better: Better = "less",
) -> Figure:
    """The figure of repeated measurements."""
    spread = None
    if len(values) > 1:
        low, *_, high = statistics.quantiles(values, n=10, method="inclusive")
        spread = (low, high)
    return Figure(name, statistics.median(values), unit, ratio, bound, better, spread)


def median_ratio(pairs: Iterable[Point]) -> float:
    """Median of first / second: measurements in turns are compared in pairs."""
    return statistics.median(one / other for one, other in pairs)


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as a JSON list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(figure)) for figure in figures)
    path.write_text(f"[\n{lines}\n]\n")


def read_json(path: Path) -> dict[str, Figure]:
    """The figures of `write_json`, by name."""
    found = {}
    for members in json.loads(path.read_text()):
        spread = members.pop("spread")
        found[members["name"]] = Figure(**members, spread=tuple(spread) if spread else None)
    return found


def table(
    parts: Mapping[str, Sequence[Figure]], machine: str, notes: Mapping[str, Sequence[Note]] | None = None
) -> str:
    """Markdown with one table for each part, and its notes."""
    lines = ["# Figures of one run", "", machine, ""]
    for part, figures in parts.items():
        lines += [f"## {part}", "", *(_rows(part, figures) if figures else ())]
        for note in (notes or {}).get(part, ()):
            lines += [note.text, ""]
    return "\n".join(lines)


def _rows(part: str, figures: Sequence[Figure]) -> Iterator[str]:
    yield from (f"![{part}]({part}.svg)", "")
    yield from ("| figure | value | 10th, 90th percentile | ratio | bound |", "|---|---:|---:|---:|---|")
    yield from (_row(figure, part) for figure in figures)
    yield ""


def _row(figure: Figure, part: str) -> str:
    spread = f"{figure.spread[0]:.2f}, {figure.spread[1]:.2f}" if figure.spread else ""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
    name = figure.name.removeprefix(f"{part}: ")
    cells = (name, f"{figure.value:.2f} {figure.unit}", spread, ratio, figure.bound_text + _mark(figure))
    return f"| {' | '.join(cells)} |"


def _mark(figure: Figure) -> str:
    return " <- missed" if figure.missed else ""
