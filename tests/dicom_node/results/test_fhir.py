"""The FHIR bundle, by the models of FHIR R4B and by its value sets, which the models accept any code for."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from pydicom import Dataset

from services.common.labels import LABELS
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.fhir import build_fhir

REPORT_STATUS = {"registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "cancelled"}
OBSERVATION_STATUS = {"registered", "preliminary", "final", "amended", "corrected", "cancelled"}


def bundle(context: ResultContext) -> dict[str, Any]:
    (item,) = build_fhir(context)
    assert isinstance(item.content, bytes)
    found: dict[str, Any] = json.loads(item.content)
    return found


def resources(context: ResultContext, kind: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle(context)["entry"]]
    return [resource for resource in found if resource["resourceType"] == kind]


@pytest.mark.parametrize("fixture", ["assessed", "not_assessed"])
def test_the_bundle_is_a_transaction_of_r4(fixture: str, request: pytest.FixtureRequest) -> None:
    found = bundle(request.getfixturevalue(fixture))
    Bundle.model_validate(found)
    assert found["type"] == "transaction"
    for entry in found["entry"]:
        resource = entry["resource"]
        assert entry["request"] == {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    known = {entry["request"]["url"] for entry in found["entry"]}
    assert {one["reference"] for one in found["entry"][-1]["resource"]["result"]} <= known


def test_numbers_and_presence_are_those_of_the_report(assessed: ResultContext) -> None:
    series = assessed.report.series
    assert series is not None
    for label, found in zip(LABELS, resources(assessed, "Observation"), strict=True):
        present = (series.predictions or {})[label]
        assert found["component"][0]["valueQuantity"]["value"] == (series.probabilities or {})[label]
        assert found["component"][0]["referenceRange"][0]["high"]["value"] == assessed.report.thresholds.series[label]
        assert found["interpretation"][0]["coding"][0]["code"] == ("POS" if present else "NEG")
        assert found["valueCodeableConcept"]["coding"][0]["code"] == ("52101004" if present else "272519000")
        assert found["status"] in OBSERVATION_STATUS


def test_the_report_names_study_accession_and_conclusions(assessed: ResultContext) -> None:
    (report,) = resources(assessed, "DiagnosticReport")
    assert report["status"] in REPORT_STATUS
    assert report["status"] == "preliminary", "no physician has read it"
    assert report["code"]["coding"][0] == {"system": "http://loinc.org", "code": "24725-4", "display": "CT Head"}
    assert report["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{assessed.header.StudyInstanceUID}"
    assert report["basedOn"][0]["identifier"]["value"] == "A1"
    assert report["subject"]["identifier"]["value"] == "4711"
    assert report["effectiveDateTime"] == "2026-01-02"
    assert [one["coding"][0]["code"] for one in report["conclusionCode"]] == ["1386000", "274100004"]
    assert report["conclusion"].startswith("Intracranial haemorrhage: PRESENT")
    assert "Research use only" in report["conclusion"]


def test_what_was_not_assessed_has_no_value(not_assessed: ResultContext) -> None:
    (report,) = resources(not_assessed, "DiagnosticReport")
    assert report["status"] == "cancelled"
    assert "conclusionCode" not in report
    for found in resources(not_assessed, "Observation"):
        assert found["status"] == "cancelled"
        assert found["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
        assert not {"valueCodeableConcept", "component", "interpretation"} & found.keys()
        assert "Refused (not_head): The series shows no head." in [note["text"] for note in found["note"]]


def test_sending_again_and_a_later_assessment_replace_the_resources(assessed: ResultContext) -> None:
    def addresses(context: ResultContext) -> list[str]:
        return [entry["request"]["url"] for entry in bundle(context)["entry"]]

    assert bundle(assessed) == bundle(assessed)
    assert addresses(replace(assessed, seed="later", number=2)) == addresses(assessed)
    other = deepcopy(assessed.header)
    other.SeriesInstanceUID = "2.25.99"
    assert not set(addresses(replace(assessed, header=other))[1:]) & set(addresses(assessed))


@pytest.mark.parametrize("date", ["", "20261340", "2026", "today"])
def test_a_header_without_identity_or_date_gives_a_valid_bundle(assessed: ResultContext, date: str) -> None:
    header = Dataset()
    header.StudyInstanceUID, header.SeriesInstanceUID = "2.25.1", "2.25.2"
    header.add_new("StudyDate", "LO", date)
    found = bundle(replace(assessed, header=header))
    Bundle.model_validate(found)
    report = found["entry"][-1]["resource"]
    assert report["subject"] == {"display": "The source states no PatientID"}
    assert report["effectiveDateTime"] == assessed.created.isoformat()
    assert "basedOn" not in report
