"""Refusals of quotas and rate limits in the OpenAPI document."""

from typing import Any

from services.common.problem_schemas import add_problem
from services.gateway.quotas.problems import QuotaExceeded, RateLimited


def declare_quotas(document: dict[str, Any]) -> None:
    """Declare 429 `rate_limited` in each operation of a sender, and `quota_exceeded` where jobs are sent."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation.get("security"):
                add_problem(operation, RateLimited.of(600, 1))
            if operation.get("operationId") == "create_job":
                add_problem(operation, QuotaExceeded.of("jobs", 20, 20))
