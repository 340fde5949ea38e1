"""dciodvfy finds no error in the objects of many kinds of source series; unit tests read their numbers back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from services.dicom_node.kinds import KINDS
from services.dicom_node.results.build import build_objects
from services.dicom_node.results.result_object import ResultObject
from tests.dicom_node.results.assessments import assessment
from tests.dicom_node.results.documents import written
from tests.pacs.validators import INSTALL, attribute_lines, have_validators
from tests.preprocess.dicom_files import enhanced
from tests.preprocess.dicom_files import written as written_ct
from tests.scans import ct_slice, head, series

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(120)]
# Warnings about values that the source lacks, and about a term that is newer than the validator.
_KNOWN: Final = ("needed to build DICOMDIR",)


def _series(count: int = 3, **tags: Any) -> list[bytes]:
    return list(series(count, hu=head(64), **tags).values())


def _enhanced() -> list[bytes]:
    dataset = enhanced(3)
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness = 5
    return [written_ct(dataset)]


SOURCES: Final[Mapping[str, Callable[[], list[bytes]]]] = {
    "no optional attributes": _series,
    "one slice": lambda: [ct_slice(0, hu=head(64))],
    "300 slices": lambda: _series(300),
    "multi-frame": _enhanced,
    "empty identity": lambda: _series(PatientID="", PatientName="", AccessionNumber="", StudyDate=""),
    "GB18030": lambda: _series(SpecificCharacterSet="GB18030", PatientName="王^小东", StudyDescription="头颅"),
    "Latin-1": lambda: _series(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg"),
    "ISO 2022": lambda: _series(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"),
    "empty conditional attribute": lambda: _series(PatientIdentityRemoved="YES", DeidentificationMethod=""),
    "time zone": lambda: _series(TimezoneOffsetFromUTC="+0530", StudyDate="20260102", StudyTime="1020"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_no_object_has_an_error(tmp_path: Path, source: str) -> None:
    assert have_validators(), f"the validators are not installed: {INSTALL}"
    files = SOURCES[source]()
    blood = np.zeros((max(3, len(files)), 32, 32, 5), np.float32)
    blood[:, 10:16, 10:16] = 0.9
    slices = 3 if source == "multi-frame" else len(files)
    context = assessment(tmp_path, files, present={"any": 0.9, "subdural": 0.8}, key_slices=(0,), blood=blood[:slices])
    built = build_objects(context, KINDS)
    assert not built.failed
    assert {one.kind for one in built.objects} == set(KINDS)
    found = {one.kind: _lines(one, tmp_path) for one in built.objects if one.kind != "fhir"}
    assert found == {kind: [] for kind in found}


def _lines(item: ResultObject, folder: Path) -> list[str]:
    path = folder / f"{item.kind}.object"
    path.write_bytes(written(item))
    return [line for line in attribute_lines(path) if not any(known in line for known in _KNOWN)]
