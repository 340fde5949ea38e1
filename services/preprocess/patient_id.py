"""Reads PatientID, for training only: no patient may be in both the training and the test data."""

from typing import BinaryIO, Final, cast

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from services.common.tensors import Buffer
from services.preprocess.dataset_reader import BoundedReader, pydicom_silenced, read_file_meta
from services.preprocess.element_values import text

_PATIENT: Final = int(Tag("PatientID"))


def read_patient_id(head: Buffer) -> str:
    """PatientID from a file's first bytes; empty where it cannot be read."""
    file = BoundedReader(memoryview(head))
    try:
        with pydicom_silenced():
            _, syntax = read_file_meta(file)
            found = read_dataset(
                cast("BinaryIO", file),
                is_implicit_VR=syntax == ImplicitVRLittleEndian,
                is_little_endian=syntax != ExplicitVRBigEndian,
                stop_when=_after_patient_id,
                specific_tags=[_PATIENT],
            )
            return text(found, "PatientID")
    except Exception:  # noqa: BLE001 - boundary: messages about a malformed file may quote it
        return ""


def _after_patient_id(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > _PATIENT
