"""Patient and study modules of results, by headers of many kinds."""

import io
from dataclasses import replace

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.source_modules import copy_source_modules
from services.dicom_node.results.text_report import build_text_report
from tests.dicom_node.results.documents import read_back, written

EMPTY = {
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
}


def header(**values: object) -> Dataset:
    """A header as it is read from a file."""
    made = Dataset()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = "2.25.1", "2.25.2", "2.25.3"
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


def test_what_the_source_lacks_stays_empty() -> None:
    made = Dataset()
    copy_source_modules(header(), made)
    assert {element.keyword for element in made if element.is_empty} == EMPTY
    assert {element.keyword for element in made} == {*EMPTY, "StudyInstanceUID"}


def test_nothing_of_another_patient_stays() -> None:
    made = Dataset()
    made.PatientID, made.PatientAge, made.IssuerOfPatientID = "other", "044Y", "other"
    copy_source_modules(header(PatientID="4711"), made)
    assert made.PatientID == "4711"
    assert "PatientAge" not in made
    assert "IssuerOfPatientID" not in made


def test_identity_and_its_issuers_are_copied() -> None:
    issuer = Dataset()
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = "1.2.3", "ISO"
    source = header(
        PatientID="4711",
        IssuerOfPatientID="HOSPITAL",
        IssuerOfPatientIDQualifiersSequence=[issuer],
        AccessionNumber="A1",
        IssuerOfAccessionNumberSequence=[issuer],
        ReferringPhysicianName="House^Gregory",
        StudyDescription="CT Head",
    )
    made = Dataset()
    copy_source_modules(source, made)
    assert (made.PatientID, made.IssuerOfPatientID, made.AccessionNumber) == ("4711", "HOSPITAL", "A1")
    assert made.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "1.2.3"
    assert made.IssuerOfAccessionNumberSequence[0].UniversalEntityIDType == "ISO"
    assert (made.ReferringPhysicianName, made.StudyDescription) == ("House^Gregory", "CT Head")


@pytest.mark.parametrize(
    ("character_set", "name", "encoding"),
    [
        ("GB18030", "王^小东", "gb18030"),
        ("ISO_IR 100", "Müller^Jörg", "latin-1"),
        ("ISO_IR 192", "Дмитриев^Ян", "utf-8"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", None),
        (None, "Müller^Jörg", "latin-1"),  # against the standard, and seen
    ],
    ids=str,
)
def test_names_keep_their_bytes(
    assessed: ResultContext, character_set: str | list[str] | None, name: str, encoding: str | None
) -> None:
    source = header(**({} if character_set is None else {"SpecificCharacterSet": character_set}), PatientName=name)
    bytes_before = source.get_item("PatientName").value
    made = build_text_report(replace(assessed, header=source))
    document = dcmread(io.BytesIO(written(made[0])))
    assert document.get_item("PatientName").value.rstrip() == bytes_before.rstrip()
    assert document.PatientName == name
    if encoding is not None:
        assert name.encode(encoding) in written(made[0])


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_malformed_values_do_not_stop_the_result(assessed: ResultContext) -> None:
    source = header(PatientID="ID_1", PatientSize="")
    source.add_new("PatientWeight", "LO", "seventy")
    source.add_new("PatientBirthDate", "LO", "1 May 1950")
    source.StudyInstanceUID = "ID_0123456789"  # as in RSNA's archive
    file = io.BytesIO()
    source.save_as(file, enforce_file_format=True)
    file.seek(0)
    document = read_back(build_text_report(replace(assessed, header=dcmread(file))))
    assert (document.StudyInstanceUID, document.PatientID) == ("ID_0123456789", "ID_1")
    assert "PatientWeight" not in document
    assert document.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_optional_values_that_are_empty_or_malformed_are_left_away() -> None:
    source = header(DeidentificationMethod="", PatientComments="x" * 9000)
    for keyword, value in {"PatientAge": "44", "PatientSize": "tall", "PatientBirthTime": "noon"}.items():
        source.add_new(keyword, "LO", value)
    file = io.BytesIO()
    source.save_as(file, enforce_file_format=True)
    file.seek(0)
    made = Dataset()
    copy_source_modules(dcmread(file), made)
    assert {element.keyword for element in made if not element.is_empty} == {"StudyInstanceUID", "PatientComments"}
    assert not {"DeidentificationMethod", "PatientAge", "PatientSize", "PatientBirthTime"} & {
        element.keyword for element in made
    }


@pytest.mark.parametrize("stated", ["", "CTP"])
def test_a_source_without_identity_states_how_it_was_removed(stated: str) -> None:
    made = Dataset()
    copy_source_modules(header(PatientIdentityRemoved="YES", DeidentificationMethod=stated), made)
    assert made.DeidentificationMethod == (stated or "not stated by the source")


def test_an_order_is_referenced_where_the_source_names_it(assessed: ResultContext) -> None:
    order = Dataset()
    order.RequestedProcedureID, order.RequestedProcedureDescription = "RP1", "CT head"
    source = header(AccessionNumber="A1", RequestAttributesSequence=[order])
    document = read_back(build_text_report(replace(assessed, header=source)))
    request = document.ReferencedRequestSequence[0]
    assert (request.RequestedProcedureID, request.AccessionNumber, request.StudyInstanceUID) == ("RP1", "A1", "2.25.1")
    assert "ReferencedRequestSequence" not in read_back(build_text_report(assessed))
