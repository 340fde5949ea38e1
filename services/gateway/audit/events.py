"""The events of the audit log. None holds a file name, a key, a query or anything of an upload."""

import re
from collections.abc import Mapping
from typing import Any, Final

from services.common.timestamps import utc_now

Event = Mapping[str, Any]
SYSTEM: Final = "system"
"""The sender of events without a user."""

ACTIONS: Final[Mapping[str, str]] = {
    "predict": "upload",
    "create_job": "upload",
    "list_jobs": "read",
    "get_job": "read",
    "get_reports": "read",
    "get_blood": "read",
    "get_image": "read",
    "get_slice": "read",
    "get_report": "read",
    "watch_job": "read",
    "list_worklist": "read",
    "watch_worklist": "read",
    "change_job": "change_priority",
    "give_feedback": "feedback",
    "get_feedback": "read",
    "export_feedback": "read",
    "get_agreement": "read",
    "delete_job": "delete",
    "read_audit": "read_audit",
}
"""The action of each audited operation, by its operation id."""
NOT_AUDITED: Final = frozenset({"get_model", "get_login", "livez", "readyz", "metrics"})
"""Operations without patient data, which need no key."""
KEY_REFUSED: Final = "refuse_key"
_KEY_REFUSALS: Final = frozenset(
    {"unauthorized", "too_many_wrong_keys", "untrusted_identity_header", "identity_provider_unavailable"}
)  # codes of problems
_JOB_ID: Final = re.compile("[0-9a-f]{12,64}")
_CANCELLED_STATUS: Final = 200  # of a DELETE; an ended job is deleted with 204


def request_event(  # noqa: PLR0913 - the members of a line
    operation: str,
    status: int,
    code: str | None,
    *,
    sender: str | None,
    way: str | None = None,
    owner: str | None = None,
    address: str | None,
    job: str | None,
    request_id: str,
) -> Event:
    """The event of a request.

    Parameters
    ----------
    operation : operation id of the route
    code : of the problem that answers the request; None without one
    sender : id of the principal; None where the credential was refused
    way : the credential: `key`, `token`, `proxy`, or `none` where none is required; None where it was refused
    owner : sender of the job that is read; named where it is another one
    job : id as the path or `Location` holds it; any other text is left out, since a path may hold a name
    """
    return {
        "time": utc_now(),
        "action": _action(operation, status, code),
        "operation": operation,
        "sender": sender,
        "way": way,
        **({"owner": owner} if owner not in (None, sender) else {}),
        "address": address,
        "job": job if job and _JOB_ID.fullmatch(job) else None,
        "request": request_id,
        "status": status,
        "code": code,
    }


def _action(operation: str, status: int, code: str | None) -> str:
    if code in _KEY_REFUSALS:
        return KEY_REFUSED
    if operation == "delete_job" and status == _CANCELLED_STATUS:
        return "cancel"
    return ACTIONS.get(operation, "other")


def expiry_event(owner: str, job: str) -> Event:
    """The event of a job that retention deletes."""
    return {"time": utc_now(), "action": "expire", "sender": SYSTEM, "owner": owner, "job": job}


def files_expiry_event(owner: str, job: str) -> Event:
    """The event of a job whose files retention removes."""
    return {**expiry_event(owner, job), "action": "expire_files"}


def keys_event(count: int) -> Event:
    """The event of a file of API keys that was read again.

    count : of the keys in it
    """
    return system_event("read_keys", keys=count)


def system_event(action: str, **fields: Any) -> Event:
    """An event of the process: start, stop, rotate, reopen, lost."""
    return {"time": utc_now(), "action": action, "sender": SYSTEM, **fields}
