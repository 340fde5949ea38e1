"""AuditEvent resources: valid by the models of fhir.resources, and with codes of the value sets, which those accept."""

import json
import re
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from services.gateway.audit.chain import Line, new_chain, read_line, seal
from services.gateway.audit.events import (
    ACTIONS,
    KEY_REFUSED,
    expiry_event,
    files_expiry_event,
    keys_event,
    request_event,
)
from services.gateway.audit.events import system_event as system
from services.gateway.audit.fhir import audit_event

DCM, CODES = "http://dicom.nema.org/resources/ontology/DCM", "http://terminology.hl7.org/CodeSystem/"
# The codes of each system that R4's value sets name, with their displays, as far as events need them.
VALUE_SETS: dict[str, dict[str, str]] = {
    DCM: {
        "110100": "Application Activity",
        "110101": "Audit Log Used",
        "110110": "Patient Record",
        "110113": "Security Alert",
        "110114": "User Authentication",
        "110120": "Application Start",
        "110121": "Application Stop",
        "110122": "Login",
        "110137": "User Security Attributes Changed",
        "110150": "Application",
        "110152": "Destination Role ID",
        "110153": "Source Role ID",
    },
    f"{CODES}audit-event-type": {"rest": "RESTful Operation"},
    f"{CODES}audit-entity-type": {"2": "System Object", "4": "Other"},
    f"{CODES}object-role": {"13": "Security Resource", "20": "Job", "21": "Job Stream"},
    f"{CODES}security-source-type": {"4": "Application Server"},
    f"{CODES}dicom-audit-lifecycle": {
        "1": "Origination / Creation",
        "3": "Amendment",
        "6": "Access / Use",
        "14": "Logical deletion",
        "15": "Permanent erasure / Physical destruction",
    },
    f"{CODES}iso-21089-lifecycle": {
        "destroy": "Destroy/Delete Record Lifecycle Event",
        "archive": "Archive Record Lifecycle Event",
    },
    "http://hl7.org/fhir/restful-interaction": {
        name: name for name in ("read", "search-type", "create", "update", "delete")
    },
}
JOB = "0123456789abcdef"


def request(operation: str, status: int = 200, code: str | None = None, **others: Any) -> dict[str, Any]:
    given = {"sender": "ward", "address": "192.0.2.7", "job": JOB, "request_id": "r-1", **others}
    return dict(request_event(operation, status, code, **given))


EVENTS = [
    *(request(operation) for operation in ACTIONS),
    request("delete_job", 204),
    request("get_job", 404, "job_not_found", owner="other"),
    request("predict", 500, "internal_error", job=None),
    request("predict", 401, "unauthorized", sender=None, job=None, address=None),
    request("get_job", 429, "too_many_wrong_keys", sender=None, address="testclient"),
    request("an_operation_of_tomorrow"),
    keys_event(3),
    expiry_event("ward", JOB),
    files_expiry_event("ward", JOB),
    system(KEY_REFUSED, left_out=7),
    system("start", version="1", pid=1, settings={"site": "SECRET-SITE"}, changed=["site"], torn=True),
    *(system(action) for action in ("stop", "rotate", "reopen", "unsent", "of_tomorrow")),
    system("lost", lines=3),
]


def line_of(event: Any) -> Line:
    line = read_line(seal(event, new_chain("0" * 64))[0][:-1])
    assert line is not None
    return line


def codings(node: Any) -> list[dict[str, Any]]:
    """Every Coding of a resource."""
    if isinstance(node, list):
        return [coding for each in node for coding in codings(each)]
    if not isinstance(node, dict):
        return []
    return [node] if "code" in node else [coding for each in node.values() for coding in codings(each)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event['action']}-{event.get('operation')}")
def test_every_line_is_a_valid_resource_with_codes_of_the_value_sets(event: Any) -> None:
    line = line_of(event)
    resource = audit_event(line, "gateway-1")
    AuditEvent.model_validate(resource)
    assert json.loads(AuditEvent.model_validate(resource).model_dump_json(exclude_none=True)).keys() == resource.keys()
    found = codings(resource)
    assert found
    for coding in found:
        assert VALUE_SETS[coding["system"]][coding["code"]] == coding["display"]
    assert resource["id"] == line.link.hash
    assert re.fullmatch(r"[A-Za-z0-9.-]{1,64}", resource["id"])
    assert resource["action"] in "CRUDE"
    assert resource["outcome"] in ("0", "4", "8", "12")
    assert sum(agent["requestor"] for agent in resource["agent"]) == 1
    assert "SECRET" not in json.dumps(resource)
    assert all(entity.get("name") is None or entity.get("query") is None for entity in resource["entity"])  # sev-1


def resource_of(operation: str, *given: Any, **others: Any) -> dict[str, Any]:
    return audit_event(line_of(request(operation, *given, **others)), "gateway-1")


def test_a_read_of_another_senders_job_names_both_and_the_job() -> None:
    resource = resource_of("get_job", owner="clinic")
    client, gateway = resource["agent"]
    assert client["who"]["identifier"] == {"system": "urn:ich-detect:sender", "value": "ward"}
    assert client["network"] == {"address": "192.0.2.7", "type": "2"}
    assert gateway["who"]["identifier"]["value"] == "gateway-1"
    job, asked, own = resource["entity"]
    assert job["what"]["identifier"] == {"system": "urn:ich-detect:job", "value": JOB}
    assert (job["role"]["code"], job["lifecycle"]["code"]) == ("20", "6")
    assert asked["what"]["identifier"]["value"] == "r-1"
    assert {"type": "owner", "valueString": "clinic"} in own["detail"]
    assert (resource["action"], resource["subtype"][0]["code"], resource["outcome"]) == ("R", "read", "0")


@pytest.mark.parametrize(
    ("operation", "status", "code", "expected"),
    [
        ("create_job", 202, None, ("C", "create", "0")),
        ("list_worklist", 200, None, ("R", "search-type", "0")),
        ("change_job", 200, None, ("U", "update", "0")),
        ("delete_job", 204, None, ("D", "delete", "0")),
        ("get_job", 404, "job_not_found", ("R", "read", "4")),
        ("get_job", 503, "audit_unavailable", ("R", "read", "8")),
        ("get_job", 401, "unauthorized", ("E", "110122", "4")),
    ],
)
def test_action_subtype_and_outcome_follow_operation_and_status(
    operation: str, status: int, code: str | None, expected: tuple[str, str, str]
) -> None:
    resource = resource_of(operation, status, code)
    assert (resource["action"], resource["subtype"][0]["code"], resource["outcome"]) == expected
    assert resource.get("outcomeDesc") == (f"{status} {code}" if code else None)


def test_a_sender_without_an_accepted_key_is_nobody() -> None:
    client, _ = resource_of("predict", 401, "unauthorized", sender=None, address=None)["agent"]
    assert client == {"type": client["type"], "requestor": True}


def test_lost_lines_are_a_serious_failure() -> None:
    resource = audit_event(line_of(system("lost", lines=3)), "g")
    assert (resource["outcome"], resource["outcomeDesc"], resource["type"]["code"]) == ("8", "3 lines", "110113")
