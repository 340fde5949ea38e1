"""What a benchmark finds: figures with their bounds, curves to draw, and the files that keep them."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

Better = Literal["less", "more"]
Point = tuple[float, float]
JSON_NAME: Final = "bench.json"
TABLE_NAME: Final = "bench.md"


@dataclass(frozen=True)
class Figure:
    """A figure of one run.

    value : the median, in `unit`; seconds of two machines, or of two days, can't be compared
    ratio : how it stands to something else of the same run, where there is such a thing; that can be compared
    bound : what the ratio, or the value where there is no ratio, may be at most, or at least where more is better
    spread : of the value, one in ten is under the first and one in ten over the second
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    bound: float | None = None
    better: Better = "less"
    spread: Point | None = None

    @property
    def scored(self) -> float:
        """What the bound speaks of."""
        return self.value if self.ratio is None else self.ratio

    @property
    def missed(self) -> bool:
        """Whether there is a bound, and it does not hold."""
        if self.bound is None:
            return False
        return self.scored > self.bound if self.better == "less" else self.scored < self.bound

    @property
    def bound_words(self) -> str:
        """The bound as words; none where there is none."""
        if self.bound is None:
            return ""
        return f"at {'most' if self.better == 'less' else 'least'} {self.bound:g}"

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.3f}"
        return f"{self.name:76}{self.value:11.2f} {self.unit:12}{ratio:>8}   {self.bound_words}{_mark(self)}".rstrip()


@dataclass(frozen=True)
class Curve:
    """Points to draw, by what they are of."""

    title: str
    x: str
    y: str
    points: Mapping[str, Sequence[Point]]
    doubling: bool = False  # of x, from point to point


def measured(
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    ratio: float | None = None,
    bound: float | None = None,
    better: Better = "less",
) -> Figure:
    """A figure of several repeats."""
    spread = None
    if len(values) > 1:
        low, *_, high = statistics.quantiles(values, n=10, method="inclusive")
        spread = (low, high)
    return Figure(name, statistics.median(values), unit, ratio, bound, better, spread)


def of_pairs(pairs: Iterable[Point]) -> float:
    """The median of first by second: what was taken in turns is compared in pairs."""
    return statistics.median(one / other for one, other in pairs)


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """A list of all members of each figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(figure)) for figure in figures)
    path.write_text(f"[\n{lines}\n]\n")


def read_json(path: Path) -> dict[str, Figure]:
    """The figures that `write_json` wrote, by their names."""
    found = {}
    for members in json.loads(path.read_text()):
        spread = members.pop("spread")
        found[members["name"]] = Figure(**members, spread=tuple(spread) if spread else None)
    return found


def table(parts: Mapping[str, Sequence[Figure]], machine: str) -> str:
    """All figures as Markdown, a table for each part."""
    lines = ["# Figures of one run", "", machine, ""]
    for part, figures in parts.items():
        lines += [f"## {part}", "", f"![{part}]({part}.svg)", ""]
        lines += ["| figure | value | one in ten under, over | ratio | bound |", "|---|---:|---:|---:|---|"]
        lines += [_row(figure, part) for figure in figures] + [""]
    return "\n".join(lines)


def _row(figure: Figure, part: str) -> str:
    spread = f"{figure.spread[0]:.2f}, {figure.spread[1]:.2f}" if figure.spread else ""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
    name = figure.name.removeprefix(f"{part}: ")
    cells = (name, f"{figure.value:.2f} {figure.unit}", spread, ratio, figure.bound_words + _mark(figure))
    return f"| {' | '.join(cells)} |"


def _mark(figure: Figure) -> str:
    return " <- missed" if figure.missed else ""
