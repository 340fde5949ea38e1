import pytest

from services.preprocess.patient_id import read_patient_id
from tests.scans import ct_slice


def test_the_id_is_read_from_the_first_bytes() -> None:
    assert read_patient_id(ct_slice(PatientID="ID_0123")[:1000]) == "ID_0123"


@pytest.mark.parametrize("head", [b"", b"noise" * 50, ct_slice(PatientID="ID_0123")[:140], ct_slice()])
def test_where_none_can_be_read_there_is_none(head: bytes) -> None:
    assert read_patient_id(head) == ""
