"""The step `received` -> `complete` or `passed_over`: judges the series whose instances have arrived."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from sqlite3 import Connection
from typing import Literal

from services.common.schemas import Reason
from services.common.tracing import root_span
from services.dicom_node.completeness import Completeness, Times, judge_completeness
from services.dicom_node.registry.received import WaitingSeries, begin_assessment, study_summaries, waiting_series
from services.dicom_node.registry.registry import Registry
from services.dicom_node.selection.verdict import SelectionRules, Verdict
from services.dicom_node.settings import Settings

FILES_REMOVED = "files_removed"


class Completing:
    """Begins an assessment of each complete series, and of each that the node stops waiting for."""

    def __init__(self, registry: Registry, selection: SelectionRules, settings: Settings) -> None:
        self._registry = registry
        self._selection = selection
        self._incomplete = settings.incomplete_series
        self._times = Times(settings.quiet_s, settings.unnumbered_quiet_s, settings.incomplete_after_s)

    def run(self) -> int:
        """Judge all series that may be complete; the number of assessments that began."""
        now_s = self._registry.clock.now_s()
        with self._registry.database.read() as connection:
            found = [
                (series, judged)
                for series in waiting_series(connection, now_s, self._times.quiet_s)
                if (judged := judge_completeness(series.received, self._times)).state != "waiting"
            ]
        found.sort(key=lambda item: item[1].state != "complete")  # so that none yields to half a series
        complete = {series.id for series, judged in found if judged.state == "complete"}
        return sum(self._begin(series, judged, now_s, complete) for series, judged in found)

    def _begin(self, series: WaitingSeries, judged: Completeness, now_s: float, complete: Collection[int]) -> bool:
        with self._registry.database.write() as connection:
            verdict = self._judge(connection, series, now_s, complete)
            if verdict.ours is None:
                return False
            warnings = tuple(_warnings(series, judged, self._incomplete))
            assessment = begin_assessment(connection, series, verdict, warnings)
        if assessment is not None and verdict.ours:
            root_span("assess series", self._registry.trace_seed(assessment), {"ich.warnings": len(warnings)})
        return assessment is not None

    def _judge(self, connection: Connection, series: WaitingSeries, now_s: float, complete: Collection[int]) -> Verdict:
        """The verdict of the rules. After the hard time-out no other series of the study is waited for."""
        late = series.received.quiet_s >= self._times.timeout_s
        quiet_s = 0.0 if late else self._times.quiet_s
        study = study_summaries(connection, series.study_uid, now_s, quiet_s, complete)
        own = replace(study.pop(series.id), complete=True)
        return self._selection.judge(own, list(study.values()))


def _warnings(
    series: WaitingSeries, judged: Completeness, incomplete: Literal["assess", "set_aside"]
) -> Iterator[Reason]:
    set_aside = judged.state == "incomplete" and incomplete == "set_aside"
    for warning in judged.warnings:
        refuses = set_aside or warning.code == FILES_REMOVED  # the rest alone would be half a series
        yield warning.model_copy(update={"severity": "refuse"}) if refuses else warning
    if series.other_patients:
        count = f"{series.other_patients} of {len(series.received.numbers)}"
        detail = f"{count} instances of the series have the identity of another patient than the first one."
        yield Reason(code="several_patients", detail=detail, severity="refuse")
    if series.conflicts:
        subject = "1 instance was" if series.conflicts == 1 else f"{series.conflicts} instances were"
        detail = f"{subject} refused: other bytes with the same SOPInstanceUID are stored."
        yield Reason(code="conflicting_instances", detail=detail, severity="warn")
