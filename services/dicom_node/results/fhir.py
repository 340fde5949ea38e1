"""FHIR R4 transaction bundle of an assessment: a DiagnosticReport and one Observation a label.

After the HL7 guide "DICOM SR to FHIR". Ids derive from the node and the series, and each entry is a PUT: sending
again changes nothing, and a later assessment replaces the earlier one. Patient and study are referred to by their
identifiers; no Patient is made.
"""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID, uuid5

from pydicom.sr.coding import Code

from services.common.labels import LABELS, Label
from services.common.version import VERSION
from services.dicom_node.results.codes import (
    ABSENT,
    COMMON_DATA_ELEMENTS,
    FINDINGS,
    HEAD_CT,
    MEASUREMENT_GROUP,
    PRESENT,
    PROBABILITY,
)
from services.dicom_node.results.context import ObjectReference, ResultContext
from services.dicom_node.results.object_frame import observation_uid
from services.dicom_node.results.report_text import (
    NAMES,
    RESEARCH_USE,
    SeriesResult,
    key_slice_lines,
    label_lines,
    method_lines,
    reason_lines,
    series_result,
    verdict,
)
from services.dicom_node.results.result_object import ResultObject
from services.dicom_node.software import MANUFACTURER, SOFTWARE

Resource = dict[str, Any]
_NAMESPACE: Final = UUID("6f0f5a3e-4d0b-5d0c-9f58-3f8f1c2a7f01")
_SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "RADELEMENT": "https://www.radelement.org",
}
_UID_TYPE: Final = "http://hl7.org/fhir/uv/dicom-sr/CodeSystem/dicom-identifier-type"
_UID_SYSTEM: Final = "urn:dicom:uid"
_UCUM: Final = "http://unitsofmeasure.org"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_SECTION: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
_INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_ABSENT_REASON: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"


def build_fhir(context: ResultContext) -> Sequence[ResultObject]:
    """The bundle in UTF-8, of every assessment: one that was not assessed has no value, and the reasons."""
    observations = [_observation(context, label) for label in LABELS]
    device = _device(context)
    resources = [device, *observations, _report(context, observations)]
    bundle = {
        "resourceType": "Bundle",
        "id": resource_id(context, "Bundle"),
        "type": "transaction",
        "entry": [_entry(resource) for resource in resources],
    }
    return [ResultObject("fhir", json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode())]


def resource_id(context: ResultContext, kind: str, part: str = "") -> str:
    """The id of a resource: the same for all assessments of a series by this node."""
    series = str(context.header.SeriesInstanceUID)
    return str(uuid5(_NAMESPACE, "\0".join((context.device_serial_number, series, kind, part))))


def _entry(resource: Resource) -> Resource:
    address = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource, "request": {"method": "PUT", "url": address}}


def _reference(resource: Resource) -> Resource:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def _device(context: ResultContext) -> Resource:
    return {
        "resourceType": "Device",
        "id": str(uuid5(_NAMESPACE, f"Device\0{context.device_serial_number}\0{VERSION}")),
        "manufacturer": MANUFACTURER,
        "serialNumber": context.device_serial_number,
        "deviceName": [{"name": SOFTWARE, "type": "model-name"}],
        "version": [{"value": VERSION}],
    }


def _shared(context: ResultContext) -> Resource:
    """Members of the report and of observations."""
    return {
        "status": "cancelled" if series_result(context) is None else "preliminary",
        "subject": _subject(context),
        "effectiveDateTime": _study_date(context) or context.created.isoformat(),
        "issued": context.created.isoformat(),
    }


def _subject(context: ResultContext) -> Resource:
    """The patient by the source's PatientID; a source without one gives no identifier, and none is invented."""
    patient = str(context.header.get("PatientID") or "").strip()
    if not patient:
        return {"display": "The source states no PatientID"}
    identifier: Resource = {"type": _concept(_IDENTIFIER_TYPE, "MR", "Medical record number"), "value": patient}
    issuer = str(context.header.get("IssuerOfPatientID") or "").strip()
    if issuer:
        identifier["assigner"] = {"display": issuer}
    return {"type": "Patient", "identifier": identifier}


def _study_date(context: ResultContext) -> str | None:
    try:
        return date(*time.strptime(str(context.header.get("StudyDate") or ""), "%Y%m%d")[:3]).isoformat()
    except ValueError:
        return None


def _observation(context: ResultContext, label: Label) -> Resource:
    result = series_result(context)
    return {
        "resourceType": "Observation",
        "id": resource_id(context, "Observation", label),
        "identifier": [_observation_uid(context, label)],
        **_shared(context),
        "category": [_concept(_CATEGORY, "imaging", "Imaging"), _coded(MEASUREMENT_GROUP)],
        "code": _finding(label),
        "device": {"reference": f"Device/{_device(context)['id']}"},
        "derivedFrom": [_series(context)],
        **(_not_assessed(context) if result is None else _value(context, result, label)),
    }


def _observation_uid(context: ResultContext, label: Label) -> Resource:
    """The ObservationUID of the measurement group in the SR."""
    return {"type": _concept(_UID_TYPE, "observation-uid", "Observation UID"), **_uid(observation_uid(context, label))}


def _value(context: ResultContext, result: SeriesResult, label: Label) -> Resource:
    present = result.present[label]
    interpretation = ("POS", "Positive") if present else ("NEG", "Negative")
    threshold = context.report.thresholds.series[label]
    return {
        "valueCodeableConcept": _coded(PRESENT if present else ABSENT),
        "interpretation": [_concept(_INTERPRETATION, *interpretation)],
        "component": [
            {
                "code": _coded(PROBABILITY),
                "valueQuantity": _quantity(result.probabilities[label]),
                "referenceRange": [{"high": _quantity(threshold), "text": "threshold of the operating point"}],
            }
        ],
        "note": [{"text": RESEARCH_USE}],
    }


def _not_assessed(context: ResultContext) -> Resource:
    return {
        "dataAbsentReason": _concept(_ABSENT_REASON, "not-performed", "Not Performed"),
        "note": [{"text": line} for line in (*reason_lines(context), RESEARCH_USE)],
    }


def _report(context: ResultContext, observations: Sequence[Resource]) -> Resource:
    header = context.header
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "id": resource_id(context, "DiagnosticReport"),
        "identifier": [_uid(one.sop_instance_uid) for one in _documents(context)],
        **_shared(context),
        "category": [_concept(_SECTION, "CT", "CAT Scan")],
        "code": _coded(HEAD_CT),
        "imagingStudy": [{"type": "ImagingStudy", "identifier": _uid(header.StudyInstanceUID)}],
        "result": [_reference(one) for one in observations],
        "conclusion": "\n".join(_conclusion(context)),
    }
    result = series_result(context)
    if result is not None:
        report["conclusionCode"] = [_finding(label) for label in LABELS if result.present[label]]
    accession = str(header.get("AccessionNumber") or "").strip()
    if accession:
        report["basedOn"] = [{"type": "ServiceRequest", "identifier": _accession(accession)}]
    return {key: value for key, value in report.items() if value != []}


def _documents(context: ResultContext) -> Iterator[ObjectReference]:
    for kind in ("sr", "text_sr"):
        yield from context.built.get(kind, ())


def _conclusion(context: ResultContext) -> Iterator[str]:
    yield verdict(context)
    yield from reason_lines(context)
    yield from label_lines(context)
    yield from key_slice_lines(context)
    yield from method_lines(context)
    yield RESEARCH_USE


def _series(context: ResultContext) -> Resource:
    """The series, by its UID (R4 Observation.derivedFrom takes an ImagingStudy)."""
    return {
        "type": "ImagingStudy",
        "identifier": _uid(context.header.StudyInstanceUID),
        "display": f"series {context.header.SeriesInstanceUID}",
    }


def _uid(uid: str) -> Resource:
    return {"system": _UID_SYSTEM, "value": f"urn:oid:{uid}"}


def _accession(number: str) -> Resource:
    return {"type": _concept(_IDENTIFIER_TYPE, "ACSN", "Accession ID"), "value": number}


def _finding(label: Label) -> Resource:
    coding = [_coding(FINDINGS[label])]
    if label in COMMON_DATA_ELEMENTS:
        coding.append(_coding(COMMON_DATA_ELEMENTS[label]))
    return {"coding": coding, "text": NAMES[label]}


def _coded(code: Code) -> Resource:
    return {"coding": [_coding(code)]}


def _coding(code: Code) -> Resource:
    return {"system": _SYSTEMS[code.scheme_designator], "code": code.value, "display": code.meaning}


def _concept(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _quantity(value: float) -> Resource:
    return {"value": value, "system": _UCUM, "code": "1"}
