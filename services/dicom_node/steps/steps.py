"""One step of one assessment: what follows from its success, and from each kind of failure."""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

from services.common.retry_policy import RetryPolicy
from services.common.tracer import Span
from services.common.tracing import root_traceparent, span
from services.dicom_node.registry import assessments
from services.dicom_node.registry.assessments import Assessment
from services.dicom_node.registry.registry import Registry
from services.dicom_node.registry.result_sets import PredecessorChanged
from services.dicom_node.steps.building import BuildFailed, Building, BuildStopped
from services.dicom_node.steps.gateway_errors import (
    GatewayError,
    KeyConflict,
    NodeRefused,
    SeriesRefused,
    TemporaryFailure,
)
from services.dicom_node.steps.submitting import Submitting

log = logging.getLogger(__name__)
GATEWAY_RETRY: Final = RetryPolicy(first_delay_s=2.0, give_up_s=float("inf"), max_delay_s=60.0)
BUILD_RETRY: Final = RetryPolicy(first_delay_s=5.0, give_up_s=float("inf"), max_delay_s=60.0)
_MOST_BUILDS: Final = 4


@dataclass
class Steps:
    """Moves assessments. `advance` may be called by several threads, each with another assessment.

    wake_sender : called after a result set was committed
    failures : number of failed attempts by code
    paused_until_s : moment of the node's clock before which the gateway is left alone, after a failure
    """

    registry: Registry
    submitting: Submitting
    building: Building
    wake_sender: Callable[[], None] = lambda: None
    failures: Counter[str] = field(default_factory=Counter)
    paused_until_s: float = 0.0
    _gateway_failures: int = 0

    def advance(self, assessment: Assessment) -> None:
        """Take the next step of an assessment, or note why it failed and when to try again."""
        with self.registry.database.read() as connection:
            if not assessments.is_due(connection, assessment, self.registry.clock.now_s()):
                return
        try:
            self._step(assessment)
        except GatewayError as error:
            self._gateway_failed(assessment, error)
        except BuildFailed as error:
            self._build_failed(assessment, error.code)
        except PredecessorChanged:
            log.info("results are built again, since an earlier report was sent meanwhile")
        except BuildStopped:
            pass
        except Exception as error:
            log.exception("a step failed; it is tried again")
            self._build_failed(assessment, type(error).__name__, final=False)

    @property
    def gateway_is_paused(self) -> bool:
        """Whether the gateway failed, and the time of its next attempt has not come."""
        return self.registry.clock.now_s() < self.paused_until_s

    def delete_jobs(self) -> None:
        """Delete jobs at the gateway that are not needed any more."""
        with self.registry.database.read() as connection:
            jobs = assessments.jobs_to_delete(connection)
        for job_id in jobs:
            try:
                if not self.submitting.gateway.delete(job_id):
                    continue
            except GatewayError as error:
                log.warning("a job cannot be deleted; it is tried again", extra={"fields": {"code": error.code}})
                return
            with self.registry.database.write() as connection:
                assessments.mark_deleted(connection, job_id)

    def _step(self, assessment: Assessment) -> None:
        if assessment.step == "reported":
            with self._span("build results", assessment):
                self.building.build(assessment)
            self.wake_sender()
            return
        if assessment.step == "submitted":
            self.submitting.fetch(assessment)
        else:
            with self._span("submit series", assessment):
                self.submitting.submit(assessment)
        self._gateway_failures = 0

    def _span(self, name: str, assessment: Assessment) -> AbstractContextManager[Span]:
        """A span of the assessment's trace."""
        parent = root_traceparent(self.registry.trace_seed(assessment.id))
        return span(name, attributes={"ich.attempts": assessment.attempts}, parent=parent)

    def _gateway_failed(self, assessment: Assessment, error: GatewayError) -> None:
        """Wait, and let all others wait: most failures are not those of one series."""
        self.failures[error.code] += 1
        self._gateway_failures += 1
        now_s = self.registry.clock.now_s()
        asked_s = error.retry_after_s if isinstance(error, TemporaryFailure) else None
        own_s = asked_s or GATEWAY_RETRY.jittered_s(assessment.attempts + 1)
        if not isinstance(error, (KeyConflict, SeriesRefused)):
            self.paused_until_s = now_s + (asked_s or GATEWAY_RETRY.jittered_s(self._gateway_failures))
        with self.registry.database.write() as connection:
            assessments.mark_failed(connection, assessment, error.code, now_s + own_s)
        fields = {"code": error.code, "attempts": assessment.attempts + 1, "id": assessment.id}
        if isinstance(error, NodeRefused):
            log.error("the gateway refuses the node: check its key and address", extra={"fields": fields})
        else:
            log.warning("the gateway failed; it is tried again", extra={"fields": fields})

    def _build_failed(self, assessment: Assessment, code: str, *, final: bool = True) -> None:
        self.failures[code] += 1
        next_s = self.registry.clock.now_s() + BUILD_RETRY.jittered_s(assessment.attempts + 1)
        dead = final and assessment.attempts + 1 >= _MOST_BUILDS
        with self.registry.database.write() as connection:
            if dead:
                assessments.mark_dead(connection, assessment, code)
            else:
                assessments.mark_failed(connection, assessment, code, next_s)
        fields = {"code": code, "attempts": assessment.attempts + 1, "id": assessment.id}
        log.error("results were not built%s", "; see resend" if dead else "", extra={"fields": fields})
