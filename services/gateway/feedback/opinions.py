"""Opinions in the storage: one empty file each, whose name holds it all, so that one listing reads a job's opinions.

<job>/feedback/000003.1795554948123.000012.14.subdural.agree.present.ann
    order, milliseconds since 1970, number of the series, slice (- for the series), label, opinion (withdrawn for
    none), prediction, reader
feedback/<sender>/<job>     marks a job that has opinions, or had some

A file is never changed. Of a reader's opinions on one label and slice the last name counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self, cast

from services.common.labels import LABELS, Label
from services.gateway.feedback.schemas import OPINIONS, Feedback, Opinion

_WHOLE_SERIES: Final = "-"
_WITHDRAWN: Final = "withdrawn"
_PREDICTIONS: Final = {"present": True, "absent": False}
_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class About:
    """The prediction that an opinion is about: a label of a series by its number, or of one of its slices."""

    number: int
    label: Label
    slice: int | None


@dataclass(frozen=True, slots=True)
class StoredOpinion:
    """An opinion.

    order : grows with each opinion of the job
    at_ms : milliseconds since 1970
    opinion : None withdraws the reader's earlier one
    """

    order: int
    at_ms: int
    about: About
    opinion: Opinion | None
    predicted: bool
    reader: str

    @property
    def name(self) -> str:
        """The name of its file."""
        about, predicted = self.about, "present" if self.predicted else "absent"
        place = _WHOLE_SERIES if about.slice is None else about.slice
        said = self.opinion or _WITHDRAWN
        when = f"{self.order:06d}.{self.at_ms:013d}"
        return f"{when}.{about.number:06d}.{place}.{about.label}.{said}.{predicted}.{self.reader}"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """From the name of a file; None for any other name."""
        parts = name.split(".")
        if len(parts) != _PARTS or parts[4] not in LABELS or parts[5] not in (*OPINIONS, _WITHDRAWN):
            return None
        order, at_ms, number, place, label, said, predicted, reader = parts
        about = About(int(number), cast("Label", label), None if place == _WHOLE_SERIES else int(place))
        opinion = None if said == _WITHDRAWN else cast("Opinion", said)
        return cls(int(order), int(at_ms), about, opinion, _PREDICTIONS[predicted], reader)

    @property
    def at(self) -> str:
        """The time: UTC, ISO 8601."""
        moment = datetime.fromtimestamp(self.at_ms / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def present(self) -> bool | None:
        """Whether the reader sees the label; None where uncertain."""
        return None if self.opinion in (None, "uncertain") else self.predicted is (self.opinion == "agree")

    def document(self) -> Feedback:
        """As the API shows it."""
        about = self.about
        return Feedback(
            label=about.label,
            slice=about.slice,
            opinion=self.opinion,
            reader=self.reader,
            at=self.at,
            predicted=self.predicted,
        )


def parse_opinions(names: Iterable[str]) -> list[StoredOpinion]:
    """The opinions of sorted names, oldest first."""
    return [found for name in names if (found := StoredOpinion.parse(name))]


def latest_opinions(opinions: Iterable[StoredOpinion]) -> list[StoredOpinion]:
    """Each reader's latest opinions that were not withdrawn, oldest first."""
    latest = {(one.about, one.reader): one for one in opinions}
    return sorted((one for one in latest.values() if one.opinion), key=lambda one: (one.order, one.at_ms))


def count_by_series(opinions: Iterable[StoredOpinion]) -> Mapping[int, Mapping[Opinion, int]]:
    """Numbers of the latest opinions on each series and its slices, by kind."""
    counts: dict[int, dict[Opinion, int]] = {}
    for one in latest_opinions(opinions):
        if one.opinion:
            of_series = counts.setdefault(one.about.number, {})
            of_series[one.opinion] = of_series.get(one.opinion, 0) + 1
    return counts
