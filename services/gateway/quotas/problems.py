"""Refusals of senders that are beyond their limits."""

from collections.abc import Callable, Mapping
from typing import Final

from services.common.byte_sizes import format_bytes
from services.common.problems import Problem
from services.gateway.quotas.limits import Quota

_WAIT_S: Final[Mapping[Quota, int]] = {"jobs": 30, "series": 30, "bytes": 300}
_TEXTS: Final[Mapping[Quota, str]] = {
    "jobs": "{used} of this sender's jobs have not ended, of {limit}; send the job again when one has ended, or cancel "
    "one by DELETE /v1/jobs/{{id}}",
    "series": "{used} of this sender's series have no report yet, and no job is accepted from {limit} on; send the job "
    "again when some are done",
    "bytes": "this job's files exceed this sender's limit of {limit}: {used} are stored already; delete "
    "jobs that have ended by DELETE /v1/jobs/{{id}}, or wait until they expire",
}


class RateLimited(Problem):
    status = 429
    code = "rate_limited"
    title = "This sender sends too many requests"

    @classmethod
    def of(cls, limit: int, wait_s: int) -> "RateLimited":
        """The refusal of a sender.

        limit : requests in a minute
        """
        detail = f"more than {limit} requests came in a minute; send the next one in {wait_s} s, and fewer at once"
        problem = cls(detail, limit=limit)
        problem.retry_after_s = wait_s
        return problem


class QuotaExceeded(Problem):
    status = 429
    code = "quota_exceeded"
    title = "This sender's quota is exhausted"

    @classmethod
    def of(cls, quota: Quota, used: int, limit: int) -> "QuotaExceeded":
        """The refusal of a job."""
        form: Callable[[int], str] = format_bytes if quota == "bytes" else str
        detail = _TEXTS[quota].format(used=form(used), limit=form(limit))
        problem = cls(detail, quota=quota, used=used, limit=limit)
        problem.retry_after_s = _WAIT_S[quota]
        return problem
