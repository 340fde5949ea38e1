from typing import Any

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.common.schemas import SeriesHeader
from services.preprocess.description import StoredTexts
from services.preprocess.header_reader import read_header
from services.preprocess.series import group_into_series
from tests.preprocess.dicom_files import ct, rewritten

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
NAMES = {
    "ISO_IR 100": ("Schädel Übersicht", "Müller^Jörg", "Müller, Jörg"),
    "ISO_IR 144": ("Голова без контраста", "Люкceмбypг^Анна", "Люкceмбypг, Анна"),
    "ISO_IR 192": ("头颅平扫", "Wang^XiaoDong=王^小东", "Wang, XiaoDong (王, 小东)"),
    "GB18030": ("头颅平扫", "Wang^XiaoDong=王^小东", "Wang, XiaoDong (王, 小东)"),
    "ISO_IR 13": ("ｱﾀﾏ", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ﾔﾏﾀﾞ, ﾀﾛｳ"),
    "\\ISO 2022 IR 87": (
        "頭部単純",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "Yamada, Tarou (山田, 太郎, やまだ, たろう)",
    ),
    "\\ISO 2022 IR 149": ("머리", "Hong^Gildong=洪^吉洞=홍^길동", "Hong, Gildong (洪, 吉洞, 홍, 길동)"),
}


def series_of(*files: bytes) -> SeriesHeader:
    (series,) = group_into_series([read_header(file, len(file)) for file in files]).series
    return series


def description_of(file: bytes) -> dict[str, Any]:
    found = series_of(file).description
    assert found
    return found.model_dump()


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("character_set", NAMES)
def test_texts_are_decoded_by_their_character_set(character_set: str, syntax: str) -> None:
    description, name, shown = NAMES[character_set]
    texts = {"SeriesDescription": description, "StudyDescription": description, "PatientName": name}
    found = description_of(ct(syntax, SpecificCharacterSet=character_set.split("\\"), **texts))
    assert (found["series_description"], found["study_description"], found["patient_name"]) == (
        description,
        description,
        shown,
    )


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Kopf Ä".encode(), "Kopf Ä"),
        ("Kopf Ä".encode("latin-1"), "Kopf Ä"),
        (b"a\x1b[31m\x00\x07b\r\nc", "a [31m b c"),
        ("x\u202ey\u2066z\u200b".encode(), "x y z"),
        (b"\x1b$B\xff\xff", "$Bÿÿ"),
        (b"   ", None),
        (b"w" * 90, "w" * 64),
    ],
)
def test_a_text_is_one_visible_line_whatever_is_stored(stored: bytes, shown: str | None) -> None:
    assert (
        description_of(rewritten(ct(SeriesDescription="x"), "SeriesDescription", stored))["series_description"] == shown
    )


@pytest.mark.parametrize("character_set", [b"idna", b"ISO_IR 999", b"zip\\IR 87", b"\xff\xfe", b""])
def test_an_unknown_character_set_is_none(character_set: bytes) -> None:
    file = ct(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Schädel")
    file = file.replace(b"ISO_IR 100", character_set.ljust(10))
    assert description_of(file)["series_description"] == "Schädel"


@pytest.mark.parametrize(
    ("tags", "acquired"),
    [
        ({"AcquisitionDate": "20260131", "AcquisitionTime": "081500.25"}, "2026-01-31T08:15:00"),
        ({"AcquisitionDateTime": "20260131081500.000000+0100", "SeriesDate": "20250101"}, "2026-01-31T08:15:00"),
        ({"SeriesDate": "20260131", "SeriesTime": "0815", "StudyDate": "20250101"}, "2026-01-31T08:15:00"),
        ({"StudyDate": "20260131"}, "2026-01-31"),
        ({"StudyDate": "20260131", "StudyTime": "081560"}, "2026-01-31T08:15:59"),
        ({"AcquisitionTime": "081500"}, None),
        ({}, None),
    ],
)
def test_the_time_of_acquisition_is_the_first_one_that_is_stated(tags: dict[str, str], acquired: str | None) -> None:
    assert description_of(ct(**tags))["acquired"] == acquired


@pytest.mark.parametrize("stored", [b"20261331", b"2026", b"Doe^Jane", b"\xff" * 8])
def test_an_unreadable_date_is_absent(stored: bytes) -> None:
    assert description_of(rewritten(ct(StudyDate="20260131"), "StudyDate", stored))["acquired"] is None


def test_a_digest_tells_patients_of_one_id_apart_by_their_issuer_and_names_none() -> None:
    found = [
        series_of(ct(PatientID=patient, IssuerOfPatientID=issuer, PatientName="Doe^Jane")).patient_digest
        for patient, issuer in (("17", None), ("17 ", None), ("17", "A"), ("17", "B"), ("17A", None))
        for issuer in [issuer or ""]
    ]
    assert found[0] == found[1]
    assert len(set(found)) == 4
    assert all(digest and len(digest) == 32 for digest in found)
    assert series_of(ct(PatientName="Doe^Jane")).patient_digest is None


def test_a_digest_does_not_depend_on_the_character_set() -> None:
    sets = ("ISO_IR 100", "ISO_IR 192")
    assert len({series_of(ct(SpecificCharacterSet=name, PatientID="ä17")).patient_digest for name in sets}) == 1


def test_a_series_of_several_patients_has_no_digest() -> None:
    files = [ct(PatientID=patient, SOPInstanceUID=f"1.2.3.{patient}") for patient in ("1", "2")]
    assert series_of(*files).patient_digest is None


def test_nothing_stored_is_nothing_shown() -> None:
    assert StoredTexts().description().model_dump() == dict.fromkeys(
        ("series_description", "study_description", "acquired", "patient_name")
    )
    assert StoredTexts().patient_digest() is None
