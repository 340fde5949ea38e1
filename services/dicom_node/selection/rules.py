"""Judges the series of a study: rules of exclusion first, then one reconstruction of each study. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.common.acceptance import MIN_SLICES_OF_A_HEAD
from services.common.contrast_description import describes_contrast
from services.common.convolution_kernel import read_kernel
from services.common.series_selection import Preference, Reconstruction
from services.dicom_node.instance_header import InstanceHeader
from services.dicom_node.selection.exclusions import doubt_of_head, exclusions
from services.dicom_node.selection.rule_file import Rules, read_rules
from services.dicom_node.selection.verdict import SeriesSummary, Verdict


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules in force.

    A series is judged when it is complete. Of the series of a study that no rule passes over, the best is assessed. One
    that was chosen stays chosen, also where a better one arrives later.
    """

    rules: Rules

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """The built-in rules with a site's file over them; raises as `read_rules`."""
        return cls(read_rules(path))

    def judge(self, series: SeriesSummary, study: Sequence[SeriesSummary]) -> Verdict:
        """The verdict on a complete series.

        Parameters
        ----------
        study : the other series of its study; the series itself may be among them
        """
        if reasons := exclusions(series, self.rules):
            return Verdict(ours=False, reasons=reasons)
        own = _reconstruction(series)
        if series.ours or not self.rules.preference.one_per_study:
            return Verdict(ours=True, reasons=(f"chosen: {own.summary}",))
        rivals = [other for other in study if self._competes(series, other)]
        return self._compare(series, own, rivals)

    def _competes(self, series: SeriesSummary, other: SeriesSummary) -> bool:
        if other.stalled or other.header.series_instance_uid == series.header.series_instance_uid:
            return False
        return other.ours is True or (other.ours is None and not exclusions(other, self.rules))

    def _compare(self, series: SeriesSummary, own: Reconstruction, rivals: Sequence[SeriesSummary]) -> Verdict:
        if chosen := next((other for other in rivals if other.ours), None):
            text = f"already_chosen: another series of the study is assessed: {_reconstruction(chosen).summary}"
            return Verdict(ours=False, reasons=(text,))
        whole = min((other for other in rivals if other.complete), key=self._rank, default=None)
        if whole and self._rank(whole) < self._rank(series):
            best = _reconstruction(whole)
            why = self._preference.advantage(best, own)
            return Verdict(ours=False, reasons=(f"not_preferred: another series is better ({best.summary}): {why}",))
        arriving = min((other for other in rivals if not other.complete), key=self._rank, default=None)
        if arriving and self.rules.preference.wait and self._rank(arriving)[0] < self._rank(series)[0]:
            why = self._preference.advantage(_reconstruction(arriving), own)
            return Verdict(ours=None, reasons=(f"waiting: a better series is being received: {why}",))
        return Verdict(ours=True, reasons=(f"chosen: {own.summary}",))

    @property
    def _preference(self) -> Preference:
        rules = self.rules.preference
        return Preference(rules.kernels, rules.thickness_mm, "its header names the head")

    def _rank(self, series: SeriesSummary) -> tuple[tuple[float, ...], str]:
        return self._preference.rank(_reconstruction(series)), series.header.series_instance_uid


def _reconstruction(series: SeriesSummary) -> Reconstruction:
    """The series as received; one that is incomplete counts as a whole head, since more images may arrive."""
    header = series.header
    return Reconstruction(
        slices=series.slices if series.complete else max(series.slices, MIN_SLICES_OF_A_HEAD),
        kernel=read_kernel(header.convolution_kernel).kind,
        contrast=_states_contrast(header),
        thickness_mm=header.slice_thickness_mm,
        derived=series.derived or header.derived,
        doubt=doubt_of_head(header),
    )


def _states_contrast(header: InstanceHeader) -> bool:
    """The first description with a statement decides: the series', the protocol's, the study's."""
    texts = (header.series_description, header.protocol_name, header.study_description)
    return next((stated for stated in map(describes_contrast, texts) if stated is not None), False)
