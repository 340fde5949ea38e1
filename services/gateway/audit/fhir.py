"""Audit lines as AuditEvent resources of FHIR R4 (https://hl7.org/fhir/R4/auditevent.html).

Codes come from DICOM (DCM, PS3.15 A.5), FHIR's RESTful interactions and ISO 21089 lifecycle events. A resource names
sender, address, job, request and outcome. The settings of a `start` stay out: they are the site's own.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from services.gateway.audit.chain import Line
from services.gateway.audit.events import SYSTEM

Resource = dict[str, Any]
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_CODES: Final = "http://terminology.hl7.org/CodeSystem/"
_REST: Final = "http://hl7.org/fhir/restful-interaction"
_SERVER_ERROR, _CLIENT_ERROR = 500, 400
IDENTIFIERS: Final = "urn:ich-detect:"
"""Prefix of the systems of identifiers: sender, job, request, gateway."""

_START: Final = (_DCM, "110120", "Application Start")
_STOP: Final = (_DCM, "110121", "Application Stop")
_USER_SECURITY: Final = (_DCM, "110137", "User Security Attributes Changed")
_LOGIN: Final = (_DCM, "110122", "Login")
_READ: Final = (_REST, "read", "read")
_SEARCH: Final = (_REST, "search-type", "search-type")
_CREATE: Final = (_REST, "create", "create")
_UPDATE: Final = (_REST, "update", "update")
_DELETE: Final = (_REST, "delete", "delete")
_DESTROY: Final = (f"{_CODES}iso-21089-lifecycle", "destroy", "Destroy/Delete Record Lifecycle Event")
_ARCHIVE: Final = (f"{_CODES}iso-21089-lifecycle", "archive", "Archive Record Lifecycle Event")

_REST_TYPE: Final = (f"{_CODES}audit-event-type", "rest", "RESTful Operation")
_APPLICATION: Final = (_DCM, "110100", "Application Activity")
_LOG_USED: Final = (_DCM, "110101", "Audit Log Used")
_RECORD: Final = (_DCM, "110110", "Patient Record")
_ALERT: Final = (_DCM, "110113", "Security Alert")
_AUTHENTICATION: Final = (_DCM, "110114", "User Authentication")

Code = tuple[str, str, str]
# Type, subtype and AuditEvent.action of each action of a line.
_KINDS: Final[Mapping[str, tuple[Code, Code | None, str]]] = {
    "upload": (_REST_TYPE, _CREATE, "C"),
    "read": (_REST_TYPE, _READ, "R"),
    "feedback": (_REST_TYPE, _CREATE, "C"),
    "change_priority": (_REST_TYPE, _UPDATE, "U"),
    "cancel": (_REST_TYPE, _DELETE, "D"),
    "delete": (_REST_TYPE, _DELETE, "D"),
    "other": (_REST_TYPE, None, "E"),
    "refuse_key": (_AUTHENTICATION, _LOGIN, "E"),
    "expire": (_RECORD, _DESTROY, "D"),
    "expire_files": (_RECORD, _DESTROY, "D"),
    "start": (_APPLICATION, _START, "E"),
    "stop": (_APPLICATION, _STOP, "E"),
    "read_audit": (_LOG_USED, _READ, "R"),
    "read_keys": (_ALERT, _USER_SECURITY, "E"),
    "rotate": (_LOG_USED, _ARCHIVE, "E"),
    "reopen": (_ALERT, None, "E"),
    "lost": (_ALERT, None, "E"),
    "unsent": (_ALERT, None, "E"),
}
_SEARCHES: Final = frozenset({"list_jobs", "list_worklist", "watch_worklist", "export_feedback", "get_agreement"})
_FAULTS: Final = frozenset({"reopen", "lost", "unsent"})
# Stages of an object's life (dicom-audit-lifecycle) by AuditEvent.action.
_LIFECYCLE: Final[Mapping[str, tuple[str, str]]] = {
    "C": ("1", "Origination / Creation"),
    "R": ("6", "Access / Use"),
    "U": ("3", "Amendment"),
    "D": ("14", "Logical deletion"),
}
_ERASES: Final = frozenset({"delete", "expire", "expire_files"})
_ERASURE: Final = ("15", "Permanent erasure / Physical destruction")
_DETAILS: Final = ("operation", "owner", "status", "code", "lines", "left_out", "version", "torn", "after_rotation")


def audit_event(line: Line, gateway: str) -> Resource:
    """The resource of a line; its id is the line's hash.

    Parameters
    ----------
    gateway : name of the gateway that wrote the line, as `source.observer`
    """
    fields = line.fields
    action = str(fields.get("action"))
    kind, subtype, code = _KINDS.get(action, _KINDS["other"])
    if subtype == _READ and fields.get("operation") in _SEARCHES:
        subtype = _SEARCH
    outcome, text = _outcome(action, fields)
    return {
        "resourceType": "AuditEvent",
        "id": line.link.hash,
        "type": _coding(*kind),
        **({"subtype": [_coding(*subtype)]} if subtype else {}),
        "action": code,
        "recorded": fields.get("time"),
        "outcome": outcome,
        **({"outcomeDesc": text} if text else {}),
        "agent": [*_client(fields), _gateway_agent(fields, gateway)],
        "source": {
            "observer": _reference("gateway", gateway),
            "type": [_coding(f"{_CODES}security-source-type", "4", "Application Server")],
        },
        "entity": [*_job(action, code, fields), *_request(fields), _line_entity(line)],
    }


def _outcome(action: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """Outcome (audit-event-outcome: 0, 4 minor, 8 serious, 12 major), and its description."""
    status, code = fields.get("status"), fields.get("code")
    if action in _FAULTS:
        return "8", f"{fields['lines']} lines" if type(fields.get("lines")) is int else action
    if action == "refuse_key" and status is None:
        return "4", "more refused keys, counted"
    if type(status) is not int or status < _CLIENT_ERROR:
        return "0", ""
    return "8" if status >= _SERVER_ERROR else "4", f"{status} {code}" if code else str(status)


def _client(fields: Mapping[str, Any]) -> list[Resource]:
    """The sender of a request; nobody for events of the process."""
    if fields.get("sender") == SYSTEM:
        return []
    sender, address = fields.get("sender"), fields.get("address")
    return [
        {
            "type": {"coding": [_coding(_DCM, "110153", "Source Role ID")]},
            **({"who": _reference("sender", sender), "altId": sender} if sender else {}),
            "requestor": True,
            **({"network": {"address": address, "type": _network_type(address)}} if address else {}),
        }
    ]


def _network_type(address: str) -> str:
    """2 for an IP address, 1 for a name (network-type)."""
    try:
        ip_address(address)
    except ValueError:
        return "1"
    return "2"


def _gateway_agent(fields: Mapping[str, Any], gateway: str) -> Resource:
    own = fields.get("sender") == SYSTEM
    role = ("110150", "Application") if own else ("110152", "Destination Role ID")
    return {
        "type": {"coding": [_coding(_DCM, *role)]},
        "who": _reference("gateway", gateway),
        "requestor": own,
    }


def _job(action: str, code: str, fields: Mapping[str, Any]) -> list[Resource]:
    if not fields.get("job"):
        return []
    stage = _ERASURE if action in _ERASES else _LIFECYCLE.get(code)
    return [
        {
            "what": _reference("job", fields["job"]),
            "type": _coding(f"{_CODES}audit-entity-type", "2", "System Object"),
            "role": _coding(f"{_CODES}object-role", "20", "Job"),
            **({"lifecycle": _coding(f"{_CODES}dicom-audit-lifecycle", *stage)} if stage else {}),
        }
    ]


def _request(fields: Mapping[str, Any]) -> list[Resource]:
    if not fields.get("request"):
        return []
    return [
        {
            "what": _reference("request", fields["request"]),
            "type": _coding(f"{_CODES}audit-entity-type", "4", "Other"),
            "role": _coding(f"{_CODES}object-role", "21", "Job Stream"),
        }
    ]


def _line_entity(line: Line) -> Resource:
    """The audit line itself, whose chain `verify` checks."""
    link, fields = line.link, line.fields
    details = {"chain": link.chain, "seq": link.sequence, "hash": link.hash}
    details |= {name: fields[name] for name in _DETAILS if fields.get(name) is not None}
    return {
        "what": _reference("line", f"{link.chain}/{link.sequence}"),
        "type": _coding(f"{_CODES}audit-entity-type", "2", "System Object"),
        "role": _coding(f"{_CODES}object-role", "13", "Security Resource"),
        "detail": [{"type": name, "valueString": str(value)} for name, value in details.items()],
    }


def _coding(system: str, code: str, display: str) -> Resource:
    return {"system": system, "code": code, "display": display}


def _reference(kind: str, value: str) -> Resource:
    return {"identifier": {"system": f"{IDENTIFIERS}{kind}", "value": value}}
