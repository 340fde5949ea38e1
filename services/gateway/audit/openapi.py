"""The answer of the audit log in the OpenAPI document."""

from typing import Any, Final

from services.common.problem_schemas import PROBLEM_JSON, openapi_problem
from services.gateway.audit.events import ACTIONS
from services.gateway.audit.middleware import AuditUnavailable

_UNAVAILABLE: Final = openapi_problem(AuditUnavailable())


def declare_audit(document: dict[str, Any]) -> None:
    """Declare 503 `audit_unavailable` in every audited operation, beside its other causes of 503."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation.get("operationId") in ACTIONS:
                operation["responses"]["503"] = _with_example(operation["responses"].get("503"))


def _with_example(declared: dict[str, Any] | None) -> dict[str, Any]:
    if declared is None:
        return _UNAVAILABLE
    content = declared["content"][PROBLEM_JSON]
    examples = content["examples"] | _UNAVAILABLE["content"][PROBLEM_JSON]["examples"]
    headers = declared.get("headers", {}) | _UNAVAILABLE["headers"]
    return {**declared, "content": {PROBLEM_JSON: {**content, "examples": examples}}, "headers": headers}
