"""Contrast agent is detected in a header; stated absence does not count."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

from services.preprocess.header_reader import read_header
from tests.preprocess.dicom_files import ct


def tags(**changes: Any) -> tuple[str, ...]:
    file = ct(**changes)
    return read_header(file, len(file)).contrast_tags


def item(meaning: str = "") -> Dataset:
    found = Dataset()
    found.CodeMeaning = meaning
    return found


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        *((keyword, "HEAD_CTA_0.6") for keyword in ("SeriesDescription", "ProtocolName", "StudyDescription")),
        *(("ContrastBolusAgent", agent) for agent in ("IOHEXOL 300", "Applied", "Y", "NON-IONIC", "No. 5 Ultravist")),
        ("ContrastBolusVolume", "80"),
        ("ContrastBolusRoute", "IV"),
        ("ContrastBolusAgentSequence", [item()]),
        ("ContrastBolusAgentSequence", [item("No contrast"), item("Iohexol")]),
        ("ImageType", ["DERIVED", "PRIMARY", "ANGIO"]),
        ("ImageType", ["DERIVED", "SECONDARY", "AXIAL", "CT_PERFUSION"]),
    ],
)
def test_every_tag_can_state_contrast(keyword: str, value: object) -> None:
    assert tags(**{keyword: value}) == (keyword,)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        *(
            ("ContrastBolusAgent", agent)
            for agent in ("NONE", "no", "", "N", "0", "0 ml", "nativ", "ohne", "sans", "-")
        ),
        *(("ContrastBolusAgent", agent) for agent in ("NO CONTRAST", "Not administered", "keines", "sin contraste")),
        ("ContrastBolusVolume", "0"),
        ("ContrastBolusVolume", None),
        ("ContrastBolusRoute", "ORAL"),
        ("ContrastBolusRoute", "NONE"),
        ("ContrastBolusAgentSequence", []),
        ("ContrastBolusAgentSequence", [item("No contrast")]),
        ("SeriesDescription", "HEAD_NON_CONTRAST"),
    ],
)
def test_tags_that_state_absence_or_nothing(keyword: str, value: object) -> None:
    assert tags(**({} if value is None else {keyword: value})) == ()


def test_tags_of_the_series_outweigh_the_study() -> None:
    """A study holds series before and after contrast; its description covers all of them."""
    study = {"StudyDescription": "CT head w/o and with contrast"}
    assert tags(**study) == ("StudyDescription",)
    assert tags(**study, SeriesDescription="Head 5.0") == ("StudyDescription",)
    assert tags(**study, SeriesDescription="Head ohne KM") == ()
    assert tags(**study, ProtocolName="HEAD_NON_CON") == ()
    assert tags(**study, ContrastBolusAgent="NONE") == ()
    assert tags(StudyDescription="HEAD NON CONTRAST", SeriesDescription="CTA") == ("SeriesDescription",)


def test_within_the_series_contrast_outweighs_its_absence() -> None:
    assert tags(ContrastBolusAgent="OMNIPAQUE", SeriesDescription="NON CON") == ("ContrastBolusAgent",)
    assert tags(ContrastBolusAgent="NONE", SeriesDescription="CTA") == ("SeriesDescription",)
