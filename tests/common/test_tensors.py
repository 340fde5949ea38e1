import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.problems import BadRequest
from services.common.tensors import FilePart, Message, Tensor, bytes_elements, bytes_tensor, decode, encode


def _travel(message: Message) -> Message:
    header, parts = encode(message, "inputs")
    body = b"".join(b"".join(part.pieces()) if isinstance(part, FilePart) else bytes(part) for part in [header, *parts])
    return decode(body, str(len(header)), "inputs")


@given(st.lists(st.binary(max_size=40), max_size=6), st.binary(max_size=16))
def test_a_message_survives_the_round_trip(items: list[bytes], raw: bytes) -> None:
    sent = Message(
        (bytes_tensor("files", items), Tensor("x", "UINT8", (len(raw),), (raw,))), {"recipe": "abc", "n": 3}, "7"
    )

    got = _travel(sent)

    assert [bytes(item) for item in bytes_elements(got.tensor("files", "BYTES"))] == items
    assert bytes(got.tensor("x", "UINT8").buffer) == raw
    assert dict(got.parameters) == {"recipe": "abc", "n": 3, "binary_data_output": True}
    assert got.id == "7"


def test_a_file_part_sends_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    part = FilePart(path, 10)

    assert len(part) == 10
    assert b"".join(part.pieces(3)) == bytes(range(10))


def test_a_file_part_omits_its_gap(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    part = FilePart(path, 60, gap=(10, 50))

    assert len(part) == 20
    assert b"".join(part.pieces(3)) == bytes([*range(10), *range(50, 60)])


@given(st.binary(max_size=300), st.one_of(st.none(), st.text(max_size=5), st.integers(0, 400).map(str)))
def test_any_bytes_are_decoded_or_refused(body: bytes, header_length: str | None) -> None:
    with contextlib.suppress(BadRequest):
        decode(body, header_length, "inputs")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [3]}, "do not match"),
        ({"shape": [-4]}, "whole numbers"),
        ({"parameters": {}}, "binary_data_size"),
        ({"parameters": {"binary_data_size": 99}}, "binary_data_size"),
        ({"parameters": {"binary_data_size": 2}, "shape": [2]}, "longer than its tensors"),
        ({"datatype": "COMPLEX"}, "missing or invalid"),
    ],
)
def test_an_inconsistent_header_is_refused(change: dict[str, object], words: str) -> None:
    tensor = {"name": "x", "datatype": "UINT8", "shape": [4], "parameters": {"binary_data_size": 4}, **change}
    header = json.dumps({"inputs": [tensor]}).encode()

    with pytest.raises(BadRequest) as caught:
        decode(header + b"1234", str(len(header)), "inputs")

    assert words in caught.value.detail


@pytest.mark.parametrize("data", [b"\x05\0\0\0abc", b"\x01\0", b"\x01\0\0\0ab\0\0\0"])
def test_an_element_that_exceeds_its_tensor_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        bytes_elements(Tensor("files", "BYTES", (1,), (data,)))


def test_elements_that_do_not_match_the_shape_are_refused() -> None:
    with pytest.raises(BadRequest):
        bytes_elements(Tensor("files", "BYTES", (2,), (b"\x01\0\0\0a",)))


def test_a_deeply_nested_header_is_refused() -> None:
    header = b"[" * 100_000
    with pytest.raises(BadRequest):
        decode(header, str(len(header)), "inputs")
