"""Files written by dcmtk are read correctly. Needs dcmtk, a system program."""

import pytest

from tests.preprocess.corpus import judge, table
from tests.preprocess.dcmtk_files import LOSSLESS, LOSSY, by_dcmtk, is_installed, written_by_dcmtk
from tests.preprocess.dicom_files import Entry, dataset, written

pytestmark = pytest.mark.e2e


def test_files_of_dcmtk_are_read_correctly() -> None:
    assert is_installed(), "dcmtk is not installed: apt-get install dcmtk"
    fates = judge(by_dcmtk())
    print(table(fates))
    assert [fate for fate in fates if fate.kind != "right"] == []
    assert len(fates) == len(LOSSLESS) + len(LOSSY) + 1


def test_a_deflated_file_of_dcmtk_is_refused() -> None:
    (fate,) = judge([Entry("deflated", written_by_dcmtk(["dcmconv", "+td"], written(dataset())))])
    assert (fate.kind, fate.code) == ("refused", "unsupported_syntax")
