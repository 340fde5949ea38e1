"""Thresholds of a bundle's operating points, ordered: sensitive <= default <= specific for every label and level.

In older cards, `specific` may lie below `default`. Reading clamps such points to `default`, so that a label absent at
one point is never present at a stricter point.
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

    goal_met : the threshold reaches the goal on the calibration studies: 95 % sensitivity or specificity
    clamped : the threshold for the goal lies beyond that of `default`, which replaces it and exceeds the goal
    not_reached : no threshold reaches the goal, because other labels decide too (the series' for a slice, the
        subtypes' for `any`); this threshold reaches the goal in the cases that these labels leave open
    too_few_cases : fewer than ten positives or negatives; the threshold is that of `default`
    """

    slice: dict[Label, Basis]
    series: dict[Label, Basis]

    def for_level(self, level: Level) -> dict[Label, Basis]:
        """The bases of slices or of series."""
        return self.slice if level == "slice" else self.series


class Thresholds(_Frozen):
    """The thresholds of one operating point; `services.common.predictions` applies them."""

    slice: dict[Label, Threshold]
    series: dict[Label, Threshold]
    basis: Bases | None = Field(default=None, description="how each threshold was chosen; null in older cards")

    @model_validator(mode="after")
    def _every_label(self) -> Self:
        for level in LEVELS:
            if tuple(self.for_level(level)) != LABELS:
                raise ValueError(f"thresholds must be given for {', '.join(LABELS)}, in this order")
        return self

    def for_level(self, level: Level) -> dict[Label, float]:
        """The thresholds of slices or of series."""
        return self.slice if level == "slice" else self.series

    def for_single_slice(self) -> "Thresholds":
        """The thresholds of a series of one slice: the slice thresholds at both levels."""
        return self.model_copy(update={"series": self.slice})


Points = Mapping[OperatingPoint, Thresholds]


def out_of_order(points: Points) -> list[str]:
    """Thresholds on the wrong side of `default`, as text: "specific, slice: any, subdural"."""
    found, ordered = [], clamped(points)
    for point, thresholds in points.items():
        for level in LEVELS:
            right = ordered[point].for_level(level)
            labels = [label for label, value in thresholds.for_level(level).items() if value != right[label]]
            found += [f"{point}, {level}: {', '.join(labels)}"] if labels else []
    return found


def clamped(points: Points) -> dict[OperatingPoint, Thresholds]:
    """The points with `sensitive` clamped to at most `default`, and `specific` to at least `default`."""
    return {point: _clamped(point, thresholds, points["default"]) for point, thresholds in points.items()}


def _clamped(point: OperatingPoint, thresholds: Thresholds, default: Thresholds) -> Thresholds:
    if point == "default":
        return thresholds
    clamp = min if point == "sensitive" else max

    def clamped_level(level: Level) -> dict[Label, float]:
        return {
            label: clamp(value, default.for_level(level)[label]) for label, value in thresholds.for_level(level).items()
        }

    return Thresholds(slice=clamped_level("slice"), series=clamped_level("series"), basis=thresholds.basis)
