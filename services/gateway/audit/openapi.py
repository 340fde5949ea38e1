"""The answer of the audit log in the OpenAPI document."""

from typing import Any

from services.common.problem_schemas import add_problem
from services.gateway.audit.events import ACTIONS
from services.gateway.audit.middleware import AuditUnavailable


def declare_audit(document: dict[str, Any]) -> None:
    """Declare 503 `audit_unavailable` in every audited operation, beside its other causes of 503."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation.get("operationId") in ACTIONS:
                add_problem(operation, AuditUnavailable())
