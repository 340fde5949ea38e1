"""The text SR, as a reader sees it."""

from copy import deepcopy
from dataclasses import replace

from pydicom import Dataset

from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.text_report import build_text_report
from tests.dicom_node.results.documents import read_back, texts, tree


def sections(document: Dataset) -> list[str]:
    return [item.ConceptNameCodeSequence[0].CodeMeaning for item in tree(document) if item.ValueType == "CONTAINER"]


def test_the_verdict_comes_first_then_labels_key_slices_and_method(assessed: ResultContext) -> None:
    document = read_back(build_text_report(assessed))
    assert sections(document) == ["Conclusions", "Findings", "Current Procedure Descriptions"]
    conclusion = [text for text in texts(document) if text not in {"ich-detect", "1"}][1]
    assert conclusion == (
        "Intracranial haemorrhage: PRESENT (probability 0.912, threshold 0.500). Types: Intraparenchymal haemorrhage."
    )
    assert texts(document)[-8:] == [
        "Subarachnoid haemorrhage: absent, probability 0.100, threshold 0.500.",
        "Subdural haemorrhage: absent, probability 0.333, threshold 0.500.",
        "Slice 3 of 4 (image 3): position 10.0 mm, any 0.429, intraparenchymal 0.429.",
        "Slice 2 of 4 (image 2): position 5.0 mm, any 0.286, intraparenchymal 0.286.",
        f"Software: ich-detect 0.4.0; DICOM objects by version {document.SoftwareVersions}.",
        f"Bundle: default, SHA-256 of its card {'ab' * 32}.",
        "Operating point: default.",
        assessed.report.disclaimer,
    ]


def test_absence_is_worded_with_its_limits(assessed: ResultContext) -> None:
    series = assessed.report.series
    assert series is not None
    absent = dict.fromkeys(series.predictions or {}, False)
    report = assessed.report.model_copy(update={"series": series.model_copy(update={"predictions": absent})})
    found = texts(read_back(build_text_report(replace(assessed, report=report))))
    assert "Intracranial haemorrhage: not detected (probability 0.912, threshold 0.500)." in found
    assert any(line.startswith("Intracranial haemorrhage: absent") for line in found)


def test_numbers_beside_a_threshold_differ_in_words(assessed: ResultContext) -> None:
    series = assessed.report.series
    assert series is not None
    close = {**(series.probabilities or {}), "subdural": 0.49999}
    report = assessed.report.model_copy(update={"series": series.model_copy(update={"probabilities": close})})
    found = texts(read_back(build_text_report(replace(assessed, report=report))))
    assert "Subdural haemorrhage: absent, probability 0.499990, threshold 0.500000." in found


def test_what_was_not_assessed_says_so_first_and_why(not_assessed: ResultContext) -> None:
    document = read_back(build_text_report(not_assessed))
    found = texts(document)
    first = found.index("Not assessed. No statement about haemorrhage is made; the reasons follow.")
    assert found[first + 1] == "Refused (not_head): The series shows no head."
    assert "Findings" not in sections(document)
    assert not [line for line in found if "present" in line or "absent" in line]


def test_texts_fit_every_character_set(assessed: ResultContext) -> None:
    header = deepcopy(assessed.header)
    header.SpecificCharacterSet, header.PatientName = "ISO_IR 100", "Müller^Jörg"
    document = read_back(build_text_report(replace(assessed, header=header, warnings=("gap ≤ 5 mm … 試",))))
    assert document.PatientName == "Müller^Jörg"
    assert "Warning (DICOM node): gap <= 5 mm ... ?" in texts(document)
