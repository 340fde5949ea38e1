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
    ours : the verdict on it so far; None before one
    """

    header: InstanceHeader
    slices: int
    complete: bool
    ours: bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a series is assessed. Reasons are texts for people, without patient data; of a series that is ours, too.

    reasons : at least one where the series is passed over
    """

    ours: bool
    reasons: tuple[str, ...]


class SelectionRules(Protocol):
    """Judges a complete series; `selection/rules.py` implements it."""

    def judge(self, header: InstanceHeader, study: Sequence[SeriesSummary]) -> Verdict:
        """The verdict on the series of `header`.

        Parameters
        ----------
        study : the other series of its study
        """
