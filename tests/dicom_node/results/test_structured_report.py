"""The SR, read by highdicom and pydicom."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from highdicom.sr import MeasurementReport, srread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from services.common.labels import LABELS, Label
from services.dicom_node.results.codes import ABSENT, FINDINGS, PRESENT, PROBABILITY
from services.dicom_node.results.context import ObjectReference, ResultContext
from services.dicom_node.results.structured_report import build_structured_report
from tests.dicom_node.results.assessments import assessment
from tests.dicom_node.results.documents import (
    code_values,
    evidence,
    read_back,
    referenced,
    texts,
    tree,
    written,
)
from tests.preprocess.dicom_files import enhanced
from tests.preprocess.dicom_files import written as written_ct


@pytest.fixture(scope="module")
def measurements(assessed: ResultContext) -> MeasurementReport:
    document = srread(io.BytesIO(written(build_structured_report(assessed)[0])))
    assert isinstance(document.content, MeasurementReport)
    return document.content


@pytest.mark.parametrize("label", LABELS)
def test_highdicom_reads_the_numbers_of_the_report(
    assessed: ResultContext, measurements: MeasurementReport, label: Label
) -> None:
    series, rows = assessed.report.series, assessed.report.slices
    assert series is not None
    assert series.probabilities is not None
    assert series.predictions is not None
    (group,) = measurements.get_image_measurement_groups(finding_type=FINDINGS[label])
    of_series, *of_slices = group.get_measurements(name=PROBABILITY)
    assert of_series.referenced_images == []
    assert of_series.value == series.probabilities[label]
    assert [(one.value, one.referenced_images[0].referenced_sop_instance_uid) for one in of_slices] == [
        (row.probabilities and row.probabilities[label], source.sop_instance_uid)
        for row, source in zip(rows, assessed.slices, strict=True)
    ]
    (presence,) = group.get_qualitative_evaluations(name=FINDINGS[label])
    assert presence.value == (PRESENT if series.predictions[label] else ABSENT)


def test_decimal_strings_have_all_digits_that_fit(assessed: ResultContext) -> None:
    document = read_back(build_structured_report(assessed))
    first = next(item for item in tree(document) if item.ValueType == "NUM").MeasuredValueSequence[0]
    assert str(first.NumericValue) == "0.91234567890123"
    assert first.FloatingPointValue == 0.9123456789012345
    assert first.MeasurementUnitsCodeSequence[0].CodeValue == "1"


def test_algorithm_thresholds_reasons_and_disclaimer_are_stated(assessed: ResultContext) -> None:
    found = texts(read_back(build_structured_report(assessed)))
    assert f"bundle SHA-256: {assessed.report.model.sha256}" in found
    assert "ich-detect, bundle default" in found
    assert {"operating point: default", "series threshold: 0.5", "slice threshold: 0.5"} <= set(found)
    assert "Warning (gap): A gap of 7.4 mm lies between slices 2 and 3." in found
    assert "Warning (DICOM node): The series timed out before it was complete." in found
    assert any("Research use only" in line for line in found)
    assert assessed.report.disclaimer in found


def test_every_referenced_instance_is_evidence(assessed: ResultContext) -> None:
    masks = ObjectReference(assessed.header.StudyInstanceUID, "2.25.7", SegmentationStorage, "2.25.8")
    document = read_back(build_structured_report(replace(assessed, built={"segmentation": (masks,)})))
    assert ("2.25.8", None) in referenced(document)
    assert evidence(document) == [*(one.sop_instance_uid for one in assessed.slices), "2.25.8"]
    assert {uid for uid, _ in referenced(document)} == set(evidence(document))


def test_what_was_not_assessed_has_reasons_and_states_no_presence(not_assessed: ResultContext) -> None:
    document = read_back(build_structured_report(not_assessed))
    found = texts(document)
    assert "Refused (not_head): The series shows no head." in found
    assert any(line.startswith("Not assessed.") for line in found)
    assert not {PRESENT.value, ABSENT.value} & code_values(document)
    assert not [item for item in tree(document) if item.ValueType == "NUM"]
    assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert evidence(document) == [one.sop_instance_uid for one in not_assessed.slices]


def test_a_failed_assessment_without_slices_lists_the_received_instances(not_assessed: ResultContext) -> None:
    failed = replace(not_assessed, slices=(), report=not_assessed.report.model_copy(update={"slices": ()}))
    document = read_back(build_structured_report(failed))
    assert evidence(document) == [one.sop_instance_uid for one in not_assessed.slices]


def test_frames_of_one_instance_are_referenced_by_their_numbers(tmp_path: Path) -> None:
    context = assessment(tmp_path, [written_ct(enhanced(3))], present={"any": 0.9})
    document = read_back(build_structured_report(context))
    uid = context.slices[0].sop_instance_uid
    assert referenced(document) == [(uid, 1), (uid, 2), (uid, 3)] * len(LABELS)
    assert evidence(document) == [uid]


def test_a_later_assessment_names_its_predecessor(assessed: ResultContext) -> None:
    before = ObjectReference("2.25.1", "2.25.2", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.3")
    document = read_back(build_structured_report(replace(assessed, number=2, predecessor=before)))
    assert evidence(document, "PredecessorDocumentsSequence") == ["2.25.3"]
    assert "Assessment 2 of this series; it replaces the earlier ones." in texts(document)


def test_the_procedure_is_of_context_group_100(assessed: ResultContext) -> None:
    document = read_back(build_structured_report(assessed))
    (item,) = [
        item
        for item in tree(document)
        if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeValue == "121058"
    ]
    stated = item.ConceptCodeSequence[0]
    assert Code(stated.CodeValue, stated.CodingSchemeDesignator, "") in [
        getattr(codes.cid100, name) for name in codes.cid100.dir()
    ]


def test_building_again_gives_the_same_bytes(assessed: ResultContext) -> None:
    assert written(build_structured_report(assessed)[0]) == written(build_structured_report(assessed)[0])
