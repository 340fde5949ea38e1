"""The seam between the registry and the rules that select series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.dicom_node.instance_header import InstanceHeader


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """A series of a study, as far as it was received.

    header : of the first instance
    slices : number of its instances, and of their frames
    complete : False while more instances may arrive
    stalled : whether it is incomplete and nothing came for some time: no other series waits for it or yields to it,
        also where it was chosen after a time-out
    ours : the verdict on it so far; None before one
    derived : whether any of its instances is derived, not only the first
    """

    header: InstanceHeader
    slices: int
    complete: bool
    ours: bool | None
    stalled: bool = False
    derived: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a series is assessed. Reasons are texts for people, without patient data; of a series that is ours, too.

    ours : None while a better series of the study still arrives: judge again when that one is complete
    reasons : each begins with a code, as in "derived: ImageType says DERIVED"; at least one
    """

    ours: bool | None
    reasons: tuple[str, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the reasons, for metrics and programs."""
        return tuple(reason.partition(":")[0] for reason in self.reasons)


class SelectionRules(Protocol):
    """Judges a complete series; `selection/rules.py` implements it."""

    def judge(self, series: SeriesSummary, study: Sequence[SeriesSummary]) -> Verdict:
        """The verdict on a complete series, whose count is final.

        Parameters
        ----------
        study : the other series of its study; the series itself may be among them
        """
