"""Thresholds of a bundle's operating points, ordered: sensitive <= default <= specific for every label and level.

A card whose points are not ordered is an older one, made when `specific` could lie below `default`. Such a card is
read with its points clamped to `default`, so that a label absent at one point is never present at a stricter one.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.common.labels import LABELS, Label

OperatingPoint = Literal["default", "sensitive", "specific"]
Level = Literal["slice", "series"]
Basis = Literal["goal_met", "clamped", "not_reached", "too_few_cases"]
Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

LEVELS: Final[tuple[Level, ...]] = ("slice", "series")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bases(_Frozen):
    """How each threshold of a point was chosen.

    goal_met : the threshold reaches the point's goal on the calibration studies: 95 % sensitivity or specificity
    clamped : the threshold for the goal lies beyond that of `default`, which stands in its place and exceeds the goal
    not_reached : no threshold reaches the goal, because of the labels that decide with this one (the series' for a
        slice, the subtypes' for `any`); this one reaches it in the cases that they leave open
    too_few_cases : fewer than ten positives or negatives; the threshold is that of `default`
    """

    slice: dict[Label, Basis]
    series: dict[Label, Basis]

    def for_level(self, level: Level) -> dict[Label, Basis]:
        """Those of slices or of series."""
        return self.slice if level == "slice" else self.series


class Thresholds(_Frozen):
    """The thresholds of one operating point; `services.common.predictions` says how they are applied."""

    slice: dict[Label, Threshold]
    series: dict[Label, Threshold]
    basis: Bases | None = Field(default=None, description="how each threshold was chosen; null in older cards")

    @model_validator(mode="after")
    def _every_label(self) -> Self:
        for level in LEVELS:
            if tuple(self.for_level(level)) != LABELS:
                raise ValueError(f"thresholds must stand for {', '.join(LABELS)}, in this order")
        return self

    def for_level(self, level: Level) -> dict[Label, float]:
        """The thresholds of slices or of series."""
        return self.slice if level == "slice" else self.series

    def for_single_slice(self) -> "Thresholds":
        """Those in force for a series of one slice, which is judged as its slice is."""
        return self.model_copy(update={"series": self.slice})


Points = Mapping[OperatingPoint, Thresholds]


def out_of_order(points: Points) -> list[str]:
    """Thresholds on the wrong side of `default`, as words: "specific, slice: any, subdural"."""
    found, kept = [], clamped(points)
    for point, thresholds in points.items():
        for level in LEVELS:
            right = kept[point].for_level(level)
            labels = [label for label, value in thresholds.for_level(level).items() if value != right[label]]
            found += [f"{point}, {level}: {', '.join(labels)}"] if labels else []
    return found


def clamped(points: Points) -> dict[OperatingPoint, Thresholds]:
    """The points with `sensitive` at most and `specific` at least as high as `default`."""
    return {point: _clamped(point, thresholds, points["default"]) for point, thresholds in points.items()}


def _clamped(point: OperatingPoint, thresholds: Thresholds, default: Thresholds) -> Thresholds:
    if point == "default":
        return thresholds
    inner = min if point == "sensitive" else max

    def kept(level: Level) -> dict[Label, float]:
        return {
            label: inner(value, default.for_level(level)[label]) for label, value in thresholds.for_level(level).items()
        }

    return Thresholds(slice=kept("slice"), series=kept("series"), basis=thresholds.basis)
