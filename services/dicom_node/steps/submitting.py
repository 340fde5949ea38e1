"""The steps `complete` -> `submitted` -> `reported`: a job of the gateway for each assessment."""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from services.common.durable_files import fsync, make_folder, write_file
from services.common.schemas import Reason
from services.common.tracing import root_traceparent, span
from services.dicom_node.assessment_folder import AssessmentFolder
from services.dicom_node.registry import assessments
from services.dicom_node.registry.assessments import Assessment, StoredInstance
from services.dicom_node.registry.registry import Registry
from services.dicom_node.steps.gateway_errors import JobLost, KeyConflict, PartMissing, SeriesRefused
from services.dicom_node.steps.gateway_jobs import GatewayJobs, JobFile
from services.dicom_node.steps.job_outcome import Failed, FetchedReport, Reported, is_running, job_outcome
from services.dicom_node.steps.node_report import not_assessed_report

log = logging.getLogger(__name__)
FILES_REMOVED: Final = "files_removed"
_MISSING: Final = "The gateway keeps no blood map or no pictures of the series: some result objects are missing."
_MOST_FAULTS: Final = 3  # of the gateway's own parts, for one series
_FIRST_POLL_S: Final = 1.0
_MOST_POLL_S: Final = 10.0
_POLL_GROWTH: Final = 1.2


@dataclass(frozen=True, slots=True)
class Submitting:
    """Submits an assessment, and fetches its report. Errors of the gateway are raised, for the caller to retry.

    options : of jobs; they are part of the Idempotency-Key
    keep_jobs : whether jobs stay at the gateway, for its worklist
    polls : seconds until the next look at the job of an assessment
    """

    registry: Registry
    gateway: GatewayJobs
    options: str
    keep_jobs: bool = False
    polls: dict[int, float] = field(default_factory=dict)

    def submit(self, assessment: Assessment) -> None:
        """Create the job; or write the report of a series that is not to be assessed."""
        instances = self._instances(assessment)
        reasons = [warning for warning in assessment.warnings if warning.severity == "refuse"]
        if not reasons and (missing := sum(not self._is_stored(one) for one in instances)):
            reasons = [_files_removed(missing, len(instances))]
        if reasons:
            self._write_own_report(assessment, reasons, instances)
            return
        try:
            job_id = self.gateway.submit(self.idempotency_key(assessment), self._files(instances))
        except SeriesRefused as refused:
            self._write_own_report(assessment, [_reason(refused.code, refused.detail)], instances)
            return
        self.polls.pop(assessment.id, None)
        with self.registry.database.write() as connection:
            assessments.mark_submitted(connection, assessment, job_id, self.registry.clock.now_s() + _FIRST_POLL_S)

    def idempotency_key(self, assessment: Assessment) -> str:
        """The same for each attempt, also after a crash; another one after 409, which says that the first is used."""
        seed = self.registry.seed(assessment.series, assessment.number)
        renewed = KeyConflict.__name__ if assessment.error_code == "idempotency_conflict" else ""
        return sha256("\0".join((seed, self.options, renewed)).encode()).hexdigest()[:40]

    def fetch(self, assessment: Assessment) -> None:
        """Fetch the results of an ended job; look again later at a running one; submit a lost one again."""
        job_id = str(assessment.job_id)
        try:
            job = self.gateway.job(job_id)
            if is_running(job):
                self._poll_later(assessment)
            else:
                parent = root_traceparent(self.registry.trace_seed(assessment.id))
                with span("fetch report", parent=parent):
                    self._take(assessment, job_id, job)
        except JobLost as lost:
            self._submit_again(assessment, lost.code, faults=0)

    def _take(self, assessment: Assessment, job_id: str, job: Mapping[str, Any]) -> None:
        outcome = job_outcome(job, self.gateway.reports(job_id))
        if isinstance(outcome, Failed):
            if outcome.temporary and assessment.faults < _MOST_FAULTS:
                self._submit_again(assessment, outcome.code, faults=1)
            else:
                instances = self._instances(assessment)
                self._write_own_report(assessment, [_reason(outcome.code, outcome.detail)], instances)
            return
        missing = self._write_report(assessment, job_id, outcome)
        with self.registry.database.write() as connection:
            listed = (*outcome.warnings, *missing)
            assessments.mark_reported(connection, assessment, listed, keep_job=self.keep_jobs)

    def _write_report(self, assessment: Assessment, job_id: str, outcome: Reported) -> list[Reason]:
        """The report last: a folder with a report is complete. Warnings of parts that the job does not have."""
        report = FetchedReport.model_validate(outcome.document)
        folder = self._empty_folder(assessment)
        missing = []
        try:
            if report.blood is not None:
                self.gateway.fetch_blood(job_id, report.number, report.blood.size, folder.blood_file)
            for index in report.key_slices:
                self.gateway.fetch_picture(job_id, report.number, index, folder.key_image(index))
        except PartMissing as error:
            missing = [Reason(code=error.code, detail=_MISSING, severity="warn")]
        fsync(folder.path)
        write_file(folder.report_file, json.dumps(outcome.document).encode())
        return missing

    def _write_own_report(
        self, assessment: Assessment, reasons: Sequence[Reason], instances: Sequence[StoredInstance]
    ) -> None:
        report = not_assessed_report(assessment, reasons, sum(one.frames for one in instances))
        write_file(self._empty_folder(assessment).report_file, report.model_dump_json().encode())
        with self.registry.database.write() as connection:
            assessments.mark_reported(connection, assessment, (), reasons[0].code, keep_job=self.keep_jobs)
        log.warning("a series was not assessed", extra={"fields": {"code": reasons[0].code, "id": assessment.id}})

    def _empty_folder(self, assessment: Assessment) -> AssessmentFolder:
        folder = AssessmentFolder.of(self.registry.folder.path, assessment.id)
        if folder.path.exists():
            shutil.rmtree(folder.path)
        make_folder(folder.key_image(0).parent)
        return folder

    def _instances(self, assessment: Assessment) -> list[StoredInstance]:
        with self.registry.database.read() as connection:
            return assessments.covered_instances(connection, assessment)

    def _is_stored(self, instance: StoredInstance) -> bool:
        return instance.path is not None and (self.registry.folder.path / instance.path).is_file()

    def _files(self, instances: Sequence[StoredInstance]) -> list[JobFile]:
        return [
            JobFile(file_name(number), self.registry.folder.path / one.path, one.size)
            for number, one in enumerate(instances)
            if one.path is not None
        ]

    def _poll_later(self, assessment: Assessment) -> None:
        """Look again, the longer the job has waited the later."""
        delay_s = self.polls.get(assessment.id, _FIRST_POLL_S)
        self.polls[assessment.id] = min(delay_s * _POLL_GROWTH, _MOST_POLL_S)
        with self.registry.database.write() as connection:
            assessments.wait(connection, assessment, self.registry.clock.now_s() + delay_s)

    def _submit_again(self, assessment: Assessment, code: str, faults: int) -> None:
        with self.registry.database.write() as connection:
            assessments.submit_again(connection, assessment, code, faults)
        log.warning("a job is submitted again", extra={"fields": {"code": code, "id": assessment.id}})


def file_name(number: int) -> str:
    """The name of an instance in its job, by its number from 0."""
    return f"{number + 1:05d}.dcm"


def file_number(name: str) -> int:
    """The number of an instance from 0, by its name in its job."""
    return int(name.removesuffix(".dcm")) - 1


def _reason(code: str, detail: str) -> Reason:
    return Reason(code=code, detail=detail or "The gateway could not assess the series.", severity="refuse")


def _files_removed(missing: int, instances: int) -> Reason:
    return _reason(FILES_REMOVED, f"The files of {missing} of {instances} instances are not stored any more.")
