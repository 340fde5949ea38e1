"""Every file is decoded as by another decoder, or refused with a code."""

import warnings
from collections.abc import Iterator

import pytest
from pydicom.uid import JPEG2000Lossless

from services.common.file_codes import SET_ASIDE_FILES, UNUSABLE_FILES
from services.preprocess.header import SUPPORTED
from tests.preprocess.corpus import IN_THE_WHEEL, as_ct, faults, files_under, judge, relabelled, table
from tests.preprocess.dicom_files import Entry, ct, head_hu
from tests.preprocess.generated_files import generated


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """pydicom and Pillow warn of unusual files in this corpus."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_generated_files() -> None:
    fates = judge(generated())
    print(table(fates))
    assert faults(fates) == []
    assert [fate.entry for fate in fates if fate.kind == "refused"] == ["deflated"]
    right = {fate.syntax for fate in fates if fate.kind == "right"}
    assert {syntax.name for syntax in SUPPORTED} - right == set()


def test_files_in_pydicoms_wheel() -> None:
    files = files_under(IN_THE_WHEEL)
    assert len(files) > 150
    fates = judge([*files, *relabelled(files)])
    print(table(fates))
    assert faults(fates) == []
    assert {fate.code for fate in fates if fate.kind == "refused"} <= {*SET_ASIDE_FILES, *UNUSABLE_FILES}
    assert sum(fate.kind == "right" for fate in fates) > 60


def test_a_wrong_file_is_reported() -> None:
    off_by_one = Entry("off", ct(), head_hu() + 1)
    empty = Entry("empty", ct(PixelData=bytes(64 * 64 * 2)), head_hu())
    fates = judge([off_by_one, empty, Entry("sound", ct(JPEG2000Lossless))])
    assert [fate.kind for fate in fates] == ["wrong", "wrong", "right"]
    assert "wrong off 1 HU" in table(fates)


def test_only_greyscale_images_become_ct() -> None:
    assert as_ct(b"text") is None
    assert as_ct(ct(PhotometricInterpretation="RGB", SamplesPerPixel=3)) is None
    assert as_ct(ct(PhotometricInterpretation="MONOCHROME1")) is None
    assert as_ct(ct(Modality="MR")) is not None
