"""Data sets read up to their pixels, within limits, from hand-written bytes."""

from struct import pack
from threading import Event, Thread

import pytest
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from services.preprocess.dataset_reader import (
    MAX_VALUE_BYTES,
    BoundedReader,
    PixelDataRange,
    TooManyReads,
    pydicom_silenced,
    read_file_meta,
    read_until_pixel_data,
    sequence_items,
)
from services.preprocess.errors import UnreadableFile
from tests.preprocess.dicom_files import ct, without_preamble

ROWS = b"\x28\x00\x10\x00US\x02\x00\x40\x00"
PRIVATE = b"\x09\x00\x10\x00UN\x00\x00\x04\x00\x00\x00abcd"
PIXELS = b"\xe0\x7f\x10\x00OW\x00\x00\x10\x00\x00\x00"
ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
GROUPS = b"\x00\x52\x30\x92SQ\x00\x00"


def read(data: bytes, syntax: str = ExplicitVRLittleEndian) -> tuple[Dataset, PixelDataRange | None]:
    return read_until_pixel_data(BoundedReader(memoryview(data)), syntax)


def test_reading_ends_at_the_pixels() -> None:
    dataset, pixels = read(PRIVATE + ROWS + PIXELS + b"no pixels, no more elements")
    assert pixels == PixelDataRange(start=38, stop=54, undefined_length=False)
    assert (dataset.Rows, len(dataset)) == (64, 1)


def test_encapsulated_pixels() -> None:
    _, pixels = read(ROWS + PIXELS[:-4] + b"\xff\xff\xff\xff" + ITEM)
    assert pixels is not None
    assert (pixels.start, pixels.undefined_length) == (22, True)


def test_implicit_vr() -> None:
    dataset, pixels = read(
        b"\x28\x00\x10\x00\x02\x00\x00\x00\x40\x00" + PIXELS[:4] + PIXELS[8:], ImplicitVRLittleEndian
    )
    assert dataset.Rows == 64
    assert pixels == PixelDataRange(start=18, stop=34, undefined_length=False)


def test_big_endian() -> None:
    dataset, _ = read(b"\x00\x28\x00\x10US\x00\x02\x00\x40", ExplicitVRBigEndian)
    assert dataset.Rows == 64


def test_pixels_in_a_sequence_are_not_the_images() -> None:
    """An IconImageSequence has its own pixels (PS3.3 C.7.6.1.1.6)."""
    icon = b"\x88\x00\x00\x02SQ\x00\x00\xff\xff\xff\xff" + ITEM + PIXELS + bytes(16) + ITEM_END + SEQUENCE_END
    dataset, pixels = read(icon + PIXELS)
    assert pixels is not None
    assert pixels.start == len(icon) + len(PIXELS)
    assert "IconImageSequence" not in dataset


@pytest.mark.parametrize("data", [ROWS[:4], ROWS[:9], PRIVATE[:-1], GROUPS + b"\xff\xff\xff\xff" + ITEM + ROWS])
def test_truncated_bytes(data: bytes) -> None:
    file = BoundedReader(memoryview(data))
    assert read_until_pixel_data(file, ExplicitVRLittleEndian)[1] is None
    assert file.ended
    assert file.cut


def test_bytes_that_end_after_an_element() -> None:
    file = BoundedReader(memoryview(ROWS))
    read_until_pixel_data(file, ExplicitVRLittleEndian)
    assert file.ended
    assert not file.cut


@pytest.mark.parametrize("undefined", [True, False])
def test_items(undefined: bool) -> None:  # noqa: FBT001 - parametrised
    group = ITEM + ROWS + ITEM_END
    length, end = (0xFFFFFFFF, SEQUENCE_END) if undefined else (2 * len(group), b"")
    file = BoundedReader(memoryview(GROUPS + pack("<L", length) + group * 2 + end + PIXELS))
    dataset, _ = read_until_pixel_data(file, ExplicitVRLittleEndian)
    assert [item.Rows for item in sequence_items(file, dataset, "PerFrameFunctionalGroupsSequence")] == [64, 64]
    assert sequence_items(file, dataset, "SharedFunctionalGroupsSequence") == ()


def test_sequence_of_another_vr_has_no_items() -> None:
    file = BoundedReader(memoryview(b"\x00\x52\x30\x92DS\x08\x00" + ITEM + PIXELS))
    dataset, _ = read_until_pixel_data(file, ExplicitVRLittleEndian)
    assert sequence_items(file, dataset, "PerFrameFunctionalGroupsSequence") == ()


def test_reads_of_items_are_limited() -> None:
    """Eight bytes each, a kilobyte each as pydicom's objects."""
    empty = (b"\xfe\xff\x00\xe0" + bytes(4)) * 1000
    file = BoundedReader(memoryview(GROUPS + pack("<L", len(empty)) + empty + PIXELS))
    dataset, _ = read_until_pixel_data(file, ExplicitVRLittleEndian)
    file.reads_left = 500
    with pytest.raises((TooManyReads, OSError)):
        sequence_items(file, dataset, "PerFrameFunctionalGroupsSequence")
    assert file.fault == "too_large"
    file = BoundedReader(memoryview(GROUPS + b"\xff\xff\xff\xff" + empty + SEQUENCE_END + PIXELS))
    file.reads_left = 500
    with pytest.raises((TooManyReads, OSError)):
        read_until_pixel_data(file, ExplicitVRLittleEndian)
    assert file.fault == "too_large"


def test_long_values_are_not_kept() -> None:
    long = b"\x08\x00\x60\x00" + pack("<L", 1_000_000) + b"CT" * 500_000
    dataset, pixels = read(long + PIXELS[:4] + PIXELS[8:], ImplicitVRLittleEndian)
    assert len(dataset.Modality) == MAX_VALUE_BYTES
    assert pixels is not None
    assert pixels.start == len(long) + 8


def test_meta_and_syntax() -> None:
    file = BoundedReader(memoryview(ct()))
    meta, syntax = read_file_meta(file)
    assert syntax == meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert file.peek(4) == b"\x08\x00\x08\x00"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_syntax_of_a_bare_data_set(syntax: str) -> None:
    meta, found = read_file_meta(BoundedReader(memoryview(without_preamble(ct(syntax)))))
    assert (len(meta), found) == (0, syntax)


def test_syntax_of_a_bare_data_set_in_big_endian() -> None:
    assert read_file_meta(BoundedReader(memoryview(b"\x00\x08\x00\x60CS\x00\x02CT")))[1] == ExplicitVRBigEndian


@pytest.mark.parametrize("data", [b"", b"\x08\x00", b"\x08\x00\x60\x00text", b"<html>" * 40, bytes(200)])
def test_bytes_that_do_not_start_as_dicom(data: bytes) -> None:
    with pytest.raises(UnreadableFile, match="not_dicom"):
        read_file_meta(BoundedReader(memoryview(data)))


def test_meta_without_a_data_set() -> None:
    with pytest.raises(EOFError):
        read_file_meta(BoundedReader(memoryview(bytes(128) + b"DICM")))


def test_silence_lasts_until_the_last_thread_leaves() -> None:
    """Threads do not wait for each other: a header may take seconds."""
    entered, leave = Event(), Event()

    def hold() -> None:
        with pydicom_silenced():
            entered.set()
            leave.wait(10)

    before = config.logger.disabled
    other = Thread(target=hold)
    other.start()
    entered.wait(10)
    with pydicom_silenced():
        assert config.logger.disabled
    assert config.logger.disabled, "the other thread is still reading"
    leave.set()
    other.join()
    assert config.logger.disabled == before
