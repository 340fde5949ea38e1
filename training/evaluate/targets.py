"""Targets of a bundle of phantoms, beside its metrics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.common.labels import LABELS, SUBTYPES
from training.evaluate.metrics import SINGLE_SLICES

Aucs = Mapping[str, float | None]
COUNTS: Final = ("pixels from 50 to 100 HU", "area of the brain")


@dataclass(frozen=True, slots=True)
class Target:
    """One target: `measured` must be at least `wanted`, or at most with `at_most`."""

    name: str
    measured: float | None
    wanted: float
    at_most: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the target is reached; None without a measurement."""
        if self.measured is None:
            return None
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted


def targets(metrics: Mapping[str, Any]) -> list[Target]:
    """All targets, from the `metrics` of a card or of `measure_bundle`."""
    return [
        *_discrimination(metrics),
        *_calibration(metrics),
        *_networks(metrics),
        *_counts(metrics),
        *_shifts(metrics),
    ]


def _discrimination(metrics: Mapping[str, Any]) -> Iterator[Target]:
    yield Target("AUC of any by slice", metrics["slice"]["any"]["auc"], 0.95)
    for label in SUBTYPES:
        yield Target(f"AUC of {label} by slice", metrics["slice"][label]["auc"], 0.85)
    yield Target("AUC of any by series", metrics["series"]["any"]["auc"], 0.95)


def _calibration(metrics: Mapping[str, Any]) -> Iterator[Target]:
    """Calibration errors; by series also above chance and of more series, as chance alone exceeds .03 for a hundred."""
    for level in ("slice", "series"):
        error = metrics[level]["any"]["calibration_error"]
        yield Target(f"calibration error of any by {level}", error, 0.03, at_most=True)
    chance = metrics["series"]["any"].get("chance_calibration_error")
    if chance is not None:
        yield Target(
            "calibration error of any by series, above the expected by chance",
            round(error - chance, 4),
            0.03,
            at_most=True,
        )
    if more := metrics.get("with_twins"):
        name = f"calibration error of any of {more['series']} series, with the twins of shifted studies"
        yield Target(name, more["calibration_error"], 0.03, at_most=True)
    yield Target("median probability of any in healthy slices", metrics["healthy_slices_median_any"], 0.1, at_most=True)


def _networks(metrics: Mapping[str, Any]) -> Iterator[Target]:
    """The RNN beside the CNN, by the mean over labels; only with metrics of the CNN alone."""
    cnn, alone = metrics["beside"].get("cnn"), metrics["beside"][SINGLE_SLICES]
    by_series: Aucs = {label: metrics["series"][label]["auc"] for label in LABELS}
    for name, labels in (("any", ("any",)), ("all labels, mean", LABELS)):
        gain = _difference(by_series, cnn and cnn["series"], labels)
        yield Target(f"AUC by series gained by the RNN over the CNN: {name}", gain, 0.0)
        lost = _difference(cnn and cnn["slice"], alone["slice"], labels)
        yield Target(f"AUC by slice lost to the RNN on single slices: {name}", lost, 0.005, at_most=True)


def _counts(metrics: Mapping[str, Any]) -> Iterator[Target]:
    """The lower end of the interval minus the AUC of the better count."""
    for label in LABELS:
        low, _ = metrics["slice"][label]["auc_95_interval"]
        best = max((metrics["beside"][name]["slice"][label] or 0.0 for name in COUNTS), default=0.0)
        above = None if low is None else round(low - best, 4)
        yield Target(f"AUC of {label} by slice, low end of its interval, above the better count", above, 0.0)


def _shifts(metrics: Mapping[str, Any]) -> Iterator[Target]:
    for name, found in metrics["shifted"].items():
        yield Target(f"AUC of any by slice lost by shift of {name}", found["any_slice_auc_drop"], 0.04, at_most=True)


def _difference(one: Aucs | None, other: Aucs | None, labels: tuple[str, ...]) -> float | None:
    """Mean difference over labels; None where one is missing."""
    if one is None or other is None:
        return None
    pairs = [(one[label], other[label]) for label in labels]
    known = [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]
    return round(sum(known) / len(known), 6) if len(known) == len(pairs) else None


def target_table(metrics: Mapping[str, Any]) -> str:
    """All targets as Markdown."""
    lines = ["| target | wanted | measured | holds |", "|---|---|---|---|"]
    for target in targets(metrics):
        measured = "not measured" if target.measured is None else f"{target.measured:.3f}"
        holds = {True: "yes", False: "**no**", None: "-"}[target.holds]
        sign = "at most" if target.at_most else "at least"
        lines.append(f"| {target.name} | {sign} {target.wanted:g} | {measured} | {holds} |")
    return "\n".join(lines) + "\n"
