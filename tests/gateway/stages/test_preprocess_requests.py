from pathlib import Path

import pytest

from services.common.schemas import MultiFrameFile, SliceReference
from services.common.tensors import Message, bytes_elements, decode, encode
from services.gateway.stages.preprocess_requests import first_bytes, headers_request, slab_tensor, slices_request
from services.gateway.uploads.spool import UploadedFile

STACK = MultiFrameFile(file=1, pixels_at=3, frame_bytes=2)


@pytest.fixture
def files(tmp_path: Path) -> list[UploadedFile]:
    """A slice, and a header of three bytes before five frames of two."""
    found = []
    for name, data in (("slice", b"whole"), ("stack", b"hdr0011223344")):
        (tmp_path / name).write_bytes(data)
        found.append(UploadedFile(name, tmp_path / name, len(data)))
    return found


def arrived(tensors: tuple[object, ...]) -> Message:
    header, parts = encode(Message(tensors), "inputs")  # type: ignore[arg-type] # as they are made
    body = header + b"".join(part if isinstance(part, bytes) else b"".join(part.pieces()) for part in parts)  # type: ignore[union-attr] # file parts
    return decode(body, str(len(header)), "inputs")


def numbers(message: Message, name: str, datatype: str = "INT64") -> list[int]:
    return memoryview(message.tensor(name, datatype).buffer).cast("q" if datatype == "INT64" else "i").tolist()


def test_first_bytes_are_sent_with_the_sizes_of_the_files(files: list[UploadedFile]) -> None:
    got = arrived(headers_request(files, [first_bytes(file, 7) for file in files]))
    assert [bytes(item) for item in bytes_elements(got.tensor("files", "BYTES"))] == [b"whole", b"hdr0011"]
    assert numbers(got, "sizes") == [5, 13]


def test_only_the_requested_frames_of_a_stack_are_sent(files: list[UploadedFile]) -> None:
    items = [SliceReference(file=1, frame=3), SliceReference(file=0), SliceReference(file=1, frame=2)]
    got = arrived(slices_request(files, items, [STACK]))
    assert [bytes(item) for item in bytes_elements(got.tensor("files", "BYTES"))] == [b"whole", b"hdr2233"]
    assert numbers(got, "sizes") == [5, 13]
    assert numbers(got, "pixels_from") == [0, 7]
    assert numbers(got, "frames", "INT32") == [1, 3, 0, 0, 1, 2]


def test_other_multi_frame_files_are_sent_whole(files: list[UploadedFile]) -> None:
    got = arrived(slices_request(files, [SliceReference(file=1, frame=3)], []))
    assert [bytes(item) for item in bytes_elements(got.tensor("files", "BYTES"))] == [b"hdr0011223344"]
    assert numbers(got, "pixels_from") == [0]


def test_slabs_count_from_0_in_each_request() -> None:
    got = arrived((slab_tensor([range(8, 10), range(10, 11), range(11, 14)]),))
    assert numbers(got, "slabs", "INT32") == [0, 0, 1, 2, 2, 2]
