"""Patient and study modules of result objects, copied from the header of the source series.

An attribute of type 2 that the source lacks stays empty; no identity is invented. Text keeps the source's character
set, so that names are stored in the bytes in which they came.
"""

from typing import Final

from pydicom import DataElement, Dataset, config
from pydicom.datadict import tag_for_keyword

# PS3.3 C.7.1.1 Patient, C.7.2.1 General Study
_TYPE_2: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
# PS3.3 C.7.1.1 Patient, C.7.1.3 Clinical Trial Subject, C.7.2.1 General Study, C.7.2.2 Patient Study,
# C.7.2.3 Clinical Trial Study, C.12.1 SOP Common
_OPTIONAL: Final = (
    "StudyInstanceUID",
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "PatientBirthTime",
    "EthnicGroup",
    "PatientComments",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "QualityControlSubject",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "RequestingService",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "PatientSexNeutered",
    "MedicalAlerts",
    "Allergies",
    "PregnancyStatus",
    "SmokingStatus",
    "LastMenstrualDate",
    "SpecialNeeds",
    "PatientState",
)
_CHECKED_VRS: Final = frozenset({"AS", "CS", "DA", "DS", "IS", "TM", "US"})


def copy_source_modules(header: Dataset, dataset: Dataset) -> None:
    """Replace the patient and study modules of `dataset` with those of `header`.

    Identity is copied as it stands, since a PACS compares it. An optional attribute is left away where it is empty, or
    where its value is malformed, such as a weight that is no number.
    """
    for keyword in (*_TYPE_2, *_OPTIONAL):
        element = _readable(header, keyword)
        if element is not None:
            dataset[keyword] = element
        elif keyword in dataset:
            del dataset[keyword]
    for keyword in _TYPE_2:
        if keyword not in dataset:
            setattr(dataset, keyword, None)
    if dataset.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethodCodeSequence" not in dataset:
        dataset.setdefault("DeidentificationMethod", "not stated by the source")  # type 1C


def _readable(header: Dataset, keyword: str) -> DataElement | None:
    """A copy of the element; None where it is absent or, if optional, empty or malformed."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in header:
        return None
    try:
        element = header[tag]
        if keyword in _TYPE_2:
            return DataElement(tag, element.VR, element.value)
        return None if element.is_empty else _checked(element)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        return None


def _checked(element: DataElement) -> DataElement:
    """A copy of an optional element; ValueError where its value is malformed. Texts may exceed their length."""
    mode = config.RAISE if element.VR in _CHECKED_VRS else None
    return DataElement(element.tag, element.VR, element.value, validation_mode=mode)
