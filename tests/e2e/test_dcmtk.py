"""What dcmtk writes is read right; it is a program of the system, so these tests need more than Python."""

import pytest

from tests.preprocess.corpus import judge, table
from tests.preprocess.dcmtk_files import LOSSLESS, LOSSY, by_dcmtk, is_installed, written_by_dcmtk
from tests.preprocess.dicom_files import Entry, dataset, written

pytestmark = pytest.mark.e2e


def test_what_dcmtk_writes_is_read_right() -> None:
    assert is_installed(), "dcmtk is needed: apt-get install dcmtk"
    fates = judge(by_dcmtk())
    print(table(fates))
    assert [fate for fate in fates if fate.kind != "right"] == []
    assert len(fates) == len(LOSSLESS) + len(LOSSY) + 1


def test_what_dcmtk_deflates_is_refused() -> None:
    (fate,) = judge([Entry("deflated", written_by_dcmtk(["dcmconv", "+td"], written(dataset())))])
    assert (fate.kind, fate.code) == ("refused", "unsupported_syntax")
