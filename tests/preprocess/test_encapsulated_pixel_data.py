"""Compressed frames are counted before decoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from services.preprocess.dicom_file import open_dicom
from services.preprocess.encapsulated_pixel_data import MAX_ITEMS, count_frames, frame_places, join_fragments
from services.preprocess.errors import UnreadableFile
from tests.preprocess.dicom_files import COMPRESSED, ct, encapsulated, enhanced

JPEG, JPEG_2000 = b"\xff\xd8\xff\xe0jpeg\xff\xd9", b"\xff\x4f\xff\x51 2000\xff\xd9"


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("fragments", [1, 2])
@pytest.mark.parametrize(("syntax", "frame"), [(JPEGLSLossless, JPEG), (JPEG2000Lossless, JPEG_2000)])
def test_frames_are_counted_with_and_without_a_table(
    syntax: str,
    frame: bytes,
    fragments: int,
    has_table: bool,  # noqa: FBT001 - parametrised
) -> None:
    pixels = encapsulate([frame] * 3, fragments_per_frame=fragments, has_bot=has_table)
    assert count_frames(memoryview(b"head" + pixels), 4, syntax) == 3


@pytest.mark.parametrize("fragments", [1, 2])
def test_run_lengths_start_with_their_segments(fragments: int) -> None:
    frame = b"\2\0\0\0\x40\0\0\0" + bytes(range(100))
    pixels = encapsulate([frame] * 2, fragments_per_frame=fragments, has_bot=False)
    assert count_frames(memoryview(pixels), 0, RLELossless) == 2


@pytest.mark.parametrize("data", [b"", b"\xfe\xff", b"not an item", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"])
def test_bytes_that_are_no_fragments(data: bytes) -> None:
    assert count_frames(memoryview(data), 0, JPEGLosslessSV1) == 0


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_a_valid_file_has_its_frames(syntax: str) -> None:
    assert open_dicom(ct(syntax)).header.number_of_frames == 1


def test_more_frames_than_number_of_frames_are_refused() -> None:
    found = enhanced(3)
    found.NumberOfFrames = 1
    with pytest.raises(UnreadableFile) as caught:
        open_dicom(encapsulated(found, JPEGLSLossless, [JPEG] * 3))
    assert caught.value.code == "surplus_pixels"


@pytest.mark.parametrize("syntax", COMPRESSED)
@pytest.mark.parametrize("more", [ct(), b"PK\3\4" + bytes(100)], ids=["DICOM", "zip"])
def test_another_file_after_the_fragments_is_refused(syntax: str, more: bytes) -> None:
    with pytest.raises(UnreadableFile) as caught:
        open_dicom(ct(syntax) + more)
    assert caught.value.code == "surplus_pixels"
    assert open_dicom(ct(syntax) + bytes(1000)).header.rows


FRAMES = st.lists(st.lists(st.binary(max_size=6), min_size=1, max_size=3), min_size=1, max_size=5)


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + len(value).to_bytes(4, "little") + value


@given(FRAMES, st.binary(max_size=9))
def test_the_fragments_at_a_frames_place_are_its_own(frames: list[list[bytes]], head: bytes) -> None:
    parts = [b"".join(map(item, fragments)) for fragments in frames]
    offsets = [len(b"".join(parts[:number])) for number in range(len(parts))]
    table = item(b"".join(offset.to_bytes(4, "little") for offset in offsets))
    data = head + table + b"".join(parts) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    places = frame_places(memoryview(data), len(head), JPEGLosslessSV1, len(frames))
    assert len(places) == len(frames) + 1
    for number, fragments in enumerate(frames):
        alone = head + data[places[number] : places[number + 1]]
        assert join_fragments(memoryview(alone), len(head)) == b"".join(fragments)


@pytest.mark.parametrize(
    ("table", "frames"),
    [([0, 10], 3), ([0, 9], 2), ([10, 0], 2), ([2, 10], 2), ([0, 0], 2), ([], 2)],
    ids=["too few", "inside a fragment", "descending", "not from the start", "equal", "no codestreams"],
)
def test_uncertain_places_are_not_given(table: list[int], frames: int) -> None:
    data = item(b"".join(offset.to_bytes(4, "little") for offset in table)) + item(b"ab") + item(b"cd")
    assert frame_places(memoryview(data), 0, JPEGLosslessSV1, frames) == ()


@given(st.binary(max_size=60), st.integers(1, 4))
def test_any_bytes_have_places_or_none(data: bytes, frames: int) -> None:
    assert len(frame_places(memoryview(data), 0, RLELossless, frames)) in (0, frames + 1)


def test_more_items_than_frames_need_are_surplus() -> None:
    """Millions of empty fragments would take seconds and gigabytes."""
    pixels = memoryview(item(b"") * (MAX_ITEMS + 10))
    assert count_frames(pixels, 0, JPEGLSLossless) == MAX_ITEMS
    assert frame_places(pixels, 0, JPEGLSLossless, 20) == ()
    table = memoryview(item(bytes(4)) + item(b"") * (MAX_ITEMS + 10))
    assert count_frames(table, 0, JPEGLSLossless) == MAX_ITEMS
